"""What the words of a caption can mean and do: the bundled model's dictionary, without torch."""

STYLES = ("noto", "twemoji", "openmoji", "fluent", "fluent-flat", "fxemoji")
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "zh", "ja", "hi")
COLOURS = {
    "red": (220, 40, 40),
    "orange": (250, 140, 30),
    "yellow": (250, 220, 50),
    "green": (50, 160, 70),
    "blue": (40, 100, 220),
    "purple": (130, 60, 180),
    "pink": (250, 150, 200),
    "brown": (125, 80, 45),
    "black": (20, 20, 20),
    "grey": (140, 140, 140),
    "white": (255, 255, 255),
}
RELATIONS = ("left of", "right of", "above", "below")
MODIFIERS = ("small", "large", "upside-down")
COUNTS = ("two", "three")
ROLES = ("thing", "first", "second", "thing's colour", "background", "style", "layout")
"""What a word does in a caption; "first" and "second" are the things of a relation."""
MAX_WORDS = 8  # of a caption
NO_WORD = -1  # behind the last one
EMPTY = ""  # the meaning of a caption without words
FIXED = {
    name: i for i, name in enumerate([EMPTY, *STYLES, *COLOURS, *RELATIONS, *MODIFIERS, *COUNTS])
}
"""What a word can mean besides a thing, by its place in the dictionary; the things follow."""
N_FIXED = len(FIXED)
