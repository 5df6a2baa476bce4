"""A caption in one of twelve languages, read as concepts of the bundled model. Without torch.

    vocabulary = Vocabulary(names)
    caption = vocabulary.read("a red fox on a blue background")

The longest phrases are taken first: names of things, then their tags, colours, relations, counts.
What a word does follows from its neighbours: a colour beside "background" is the background's. The
words besides names and tags, by language, are in words.json.
"""

import difflib
import functools
import json
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from tasks.text_to_image.concepts import FIXED, LANGUAGES, N_FIXED, STYLES

Tokens = tuple[str, ...]
INVERSE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
AFTER = ("zh", "ja", "hi")
"""Languages in which a relation follows its second thing: "B's left" between A and B inverts it."""
INFLECTED = ("de", "fr", "es", "it", "pt", "nl", "pl", "ru")  # colours and sizes have endings
LONGEST_ENDING = 3  # letters
WITH_ENDINGS = ("colour", "modifier", "background")
SHARE_OF_BEST = 0.6  # how much less a tag may say of a thing than of another
MOST_THINGS = 24  # that one tag may stand for
WEIGHTED = re.compile(r"\(([^():]+):\s*(\d{1,2}(?:\.\d{1,3})?)\s*\)")
MOST_WEIGHT = 4.0
VARIATION, JOINER = "\ufe0f", "\u200d"  # of emoji


class Token(NamedTuple):
    text: str  # normalised
    start: int
    end: int


@dataclass(frozen=True)
class Word:
    """A phrase of the caption that the model reads.

    Attributes:
        start, end: where it stands in the caption.
        text: the phrase as it was written; a style of the menu is "".
        role: one of concepts.ROLES.
        meant: concepts that it may stand for; image k gets number k, modulo how many there are.
        weight: factor of its attention, written as "(fox:0.5)".
    """

    start: int
    end: int
    text: str
    role: str
    meant: tuple[int, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Unknown:
    """A word that the model does not know, and the nearest ones that it knows."""

    text: str
    nearest: tuple[str, ...]


@dataclass(frozen=True)
class Caption:
    """What the model reads.

    Attributes:
        words: in their order; none: an image of anything.
        unused: known words that have no place in this caption, as a third thing.
    """

    text: str
    language: str
    words: tuple[Word, ...]
    unknown: tuple[Unknown, ...] = ()
    unused: tuple[str, ...] = ()

    def with_style(self, style: str) -> "Caption":
        """The caption, which names a style where it did not."""
        if any(word.role == "style" for word in self.words):
            return self
        word = Word(0, 0, "", "style", (FIXED[style],))
        return replace(self, words=(*self.words, word))


class _Found(NamedTuple):
    """A phrase and what it may be."""

    first: int  # token
    last: int  # token behind it
    kind: str  # thing, colour, relation, modifier, count, style, background, on, and, silent, ""
    meant: tuple[int, ...] = ()  # concepts
    name: str = ""  # of a concept that is no thing


def tokenise(text: str) -> list[Token]:
    """Words in lower case; each sign of Chinese and Japanese and each emoji is a token."""
    tokens: list[Token] = []
    start = at = 0

    def close(end: int) -> None:
        if start < end:
            word = unicodedata.normalize("NFC", text[start:end].casefold())
            tokens.append(Token(word, start, end))

    while at < len(text):
        kind, end = unicodedata.category(text[at]), at + 1
        alone = _is_cjk(text[at]) or kind == "So"
        if alone or kind[0] not in "LMN":
            close(at)
            if alone:
                end = _end_of_emoji(text, at)
                tokens.append(Token(_plain(text[at:end]), at, end))
            start = end
        at = end
    close(len(text))
    return tokens


def _end_of_emoji(text: str, at: int) -> int:
    """Behind a sign and all that is joined to it: variation selectors, skin tones, joined signs."""
    end = at + 1
    while end < len(text):
        if text[end] == VARIATION or unicodedata.category(text[end]) == "Sk":
            end += 1
        elif text[end] == JOINER:
            end = min(end + 2, len(text))
        else:
            break
    return end


def _plain(sign: str) -> str:
    return sign.replace(VARIATION, "")


def _is_cjk(sign: str) -> bool:
    return "\u3040" <= sign <= "\u30ff" or "\u3400" <= sign <= "\u9fff"


def _phrase(text: str) -> Tokens:
    return tuple(token.text for token in tokenise(text))


@functools.cache
def fixed_words() -> dict[str, dict[str, dict[str, list[str]] | list[str]]]:
    """Language -> "colours", "relations", "modifiers", "counts": concept -> phrases; "background",
    "on", "and", "silent": phrases.
    """
    text = Path(__file__).with_name("words.json").read_text("utf-8")
    words: dict[str, dict[str, dict[str, list[str]] | list[str]]] = json.loads(text)
    return words


def _thing(at: int, n: int, things: Sequence[int]) -> _Found:
    return _Found(at, at + n, "thing", tuple(N_FIXED + i for i in things))


def _none(at: int) -> _Found:
    return _Found(at, at + 1, "")


def _most_said_of(things: list[int], n_words: Mapping[int, tuple[int, int]]) -> list[int]:
    """Of the things with a tag those of which it says most: that have few words besides."""
    fewest = min(n_words[i][1] for i in things)
    best = [i for i in things if n_words[i][1] <= fewest / SHARE_OF_BEST]
    return sorted(best, key=n_words.__getitem__)[:MOST_THINGS]


def _unaccented(text: str) -> str:
    return "".join(s for s in unicodedata.normalize("NFD", text) if not unicodedata.combining(s))


class _Language:
    """The phrases of one language."""

    def __init__(self, code: str, names: Sequence[Mapping[str, Sequence[str]]]):
        self.code = code
        self.fixed: dict[Tokens, tuple[str, str]] = {}  # -> kind, name
        for group, entry in fixed_words()[code].items():
            if isinstance(entry, dict):
                for name, phrases in entry.items():
                    for phrase in phrases:
                        self.fixed.setdefault(_phrase(phrase), (group.removesuffix("s"), name))
            else:
                for phrase in entry:
                    self.fixed.setdefault(_phrase(phrase), (group, ""))
        for style in STYLES:
            self.fixed[_phrase(style)] = ("style", style)
        self.labels: dict[Tokens, list[int]] = {}
        tagged: dict[Tokens, list[int]] = {}
        n_words: dict[int, tuple[int, int]] = {}  # thing -> of its name, of name and tags
        self.spoken: list[str] = []  # labels as they are written
        for thing, spoken in enumerate(names):
            if code not in spoken:
                continue
            label, *tags = (_phrase(phrase) for phrase in spoken[code])
            self.spoken.append(spoken[code][0])
            self.labels.setdefault(label, []).append(thing)
            for tag in tags:
                tagged.setdefault(tag, []).append(thing)
            n_words[thing] = len(label), len({*label, *(w for tag in tags for w in tag)})
        self.tags = {tag: _most_said_of(things, n_words) for tag, things in tagged.items()}
        self.singles = sorted(p[0] for p in {*self.labels, *self.tags} if len(p) == 1 and p[0])
        self.unaccented = {_unaccented(word): word for word in self.singles}
        self.longest = max(len(p) for p in (*self.fixed, *self.labels, *self.tags))

    def find(self, tokens: Sequence[Token], at: int) -> _Found:
        """The longest phrase at a token; of kind "" where there is none."""
        texts = tuple(token.text for token in tokens[at : at + self.longest])
        for n in range(len(texts), 0, -1):
            phrase = texts[:n]
            if phrase in self.fixed:
                return self._fixed(phrase, at)
            if phrase in self.labels:
                return _thing(at, n, self.labels[phrase])
            if n == 1 and (colour := self._inflected_colour(texts[0], at)):
                return colour
            if phrase in self.tags:
                return _thing(at, n, self.tags[phrase])
        known = self._inflected(texts[0])
        return _thing(at, 1, self.labels.get(known) or self.tags[known]) if known else _none(at)

    def _fixed(self, phrase: Tokens, at: int) -> _Found:
        kind, name = self.fixed[phrase]
        return _Found(at, at + len(phrase), kind, (FIXED[name],) if name else (), name)

    def _inflected_colour(self, text: str, at: int) -> _Found | None:
        """A colour, a size or "background" with an ending."""
        if self.code not in INFLECTED:
            return None
        for cut in range(1, LONGEST_ENDING + 1):
            phrase = (text[:-cut],)
            if len(text) - cut > 1 and self.fixed.get(phrase, ("",))[0] in WITH_ENDINGS:
                return self._fixed(phrase, at)
        return None

    def _inflected(self, text: str) -> Tokens | None:
        """A known word that this one is with another ending or without its accents."""
        if len(text) < 3 or _is_cjk(text[0]):
            return None
        if self.code == "en":
            singular = [text.removesuffix("s"), text.removesuffix("es")]
            singular.append(text.removesuffix("ies") + "y")
            forms = [(form,) for form in singular if form != text]
            return next((f for f in forms if f in self.labels or f in self.tags), None)
        if _unaccented(text) in self.unaccented:
            return (self.unaccented[_unaccented(text)],)
        if self.code in INFLECTED:
            for cut in range(LONGEST_ENDING + 1):
                if known := self._beginning_with(text[: len(text) - cut], cut):
                    return (known,)
        return None

    def _beginning_with(self, stem: str, cut: int) -> str | None:
        """A known word that begins with a stem and whose own ending is no longer."""
        k = bisect_left(self.singles, stem)
        for known in self.singles[k : k + 50]:
            if len(stem) < 4 or not known.startswith(stem):
                break
            if len(known) - len(stem) <= max(cut, 1):
                return known
        return None

    def nearest(self, text: str) -> tuple[str, ...]:
        """Names that are written alike, at most three."""
        return tuple(difflib.get_close_matches(text, self.singles, 3, 0.6))


class Vocabulary:
    """The names of the things in twelve languages, and how captions are made of them.

    Args:
        names: one of each thing, in the order of the dictionary: "emoji" -> the sign; language ->
            name and tags.
    """

    def __init__(self, names: Sequence[Mapping[str, Sequence[str]]]):
        self.names = names
        self.languages = {code: _Language(code, names) for code in LANGUAGES}
        self.emoji = {_plain(str(entry["emoji"])): i for i, entry in enumerate(names)}

    def label(self, thing: int, language: str = "en") -> str:
        entry = self.names[thing]
        return entry[language if language in entry else "en"][0]

    def read(self, text: str, language: str = "en") -> Caption:
        """Read a caption in the language in which most of its words are known.

        Args:
            language: that of the reader, which is taken where several fit.
        """
        weights = [(*m.span(1), min(MOST_WEIGHT, float(m[2]))) for m in WEIGHTED.finditer(text)]
        # the same length, so that places in it stay
        plain = WEIGHTED.sub(lambda m: f" {m[1]}".ljust(len(m[0])), text)
        tokens = tokenise(plain)
        codes = sorted(LANGUAGES, key=lambda code: code != language)  # stable
        parsed = {code: self._split(tokens, self.languages[code]) for code in codes}
        best = max(codes, key=lambda code: self._covered(parsed[code]))
        caption = self._understood(plain, tokens, parsed[best], self.languages[best])
        words = tuple(_weighted(word, weights) for word in caption.words)
        return replace(caption, text=text, words=words)

    @staticmethod
    def _covered(found: list[_Found]) -> float:
        """How much is known; long names and words that only join others tell most about it."""
        weight = {"": 0.0, "thing": 1.0}
        return sum(weight.get(f.kind, 1.1) * (n := f.last - f.first) + 0.2 * (n - 1) for f in found)

    def _split(self, tokens: list[Token], language: _Language) -> list[_Found]:
        found, at = [], 0
        while at < len(tokens):
            sign = self.emoji.get(tokens[at].text)
            if sign is not None:
                item = _Found(at, at + 1, "thing", (N_FIXED + sign,))
            else:
                item = language.find(tokens, at)
            found.append(item)
            at = item.last
        return found

    def _understood(
        self, text: str, tokens: list[Token], found: list[_Found], language: _Language
    ) -> Caption:
        found = [self._in_any_language(tokens, f) if not f.kind else f for f in found]
        if not any(f.kind == "thing" for f in found):
            ground = _background(found, [])
            found = [
                f if k == ground else _as_thing(tokens, f, language) for k, f in enumerate(found)
            ]
        roles, relation = _roles(found, language.code)
        words, unknown, left = [], [], []
        for item, role in zip(found, roles, strict=True):
            start, end = tokens[item.first].start, tokens[item.last - 1].end
            said = text[start:end]
            if not item.kind:
                unknown.append(Unknown(said, language.nearest(tokens[item.first].text)))
            elif role:
                meant = item.meant
                if item.kind == "relation" and relation.inverted:
                    meant = (FIXED[INVERSE[item.name]],)
                words.append(Word(start, end, said, role, meant))
            elif item.kind in ("thing", "colour", "modifier", "count"):
                left.append(said)
        if relation.assumed:
            words.append(Word(0, 0, "", "layout", (FIXED[relation.assumed],)))
        return Caption(text, language.code, tuple(words), tuple(unknown), tuple(left))

    def _in_any_language(self, tokens: list[Token], item: _Found) -> _Found:
        """A word that is no word of the caption's language may be one of another."""
        phrase = (tokens[item.first].text,)
        for language in self.languages.values():
            if phrase in language.labels:
                things = tuple(N_FIXED + i for i in language.labels[phrase])
                return item._replace(kind="thing", meant=things)
        return item

    def suggest(self, beginning: str, language: str = "en", most: int = 8) -> list[str]:
        """Names that go on as `beginning` does, whole words first, the shortest first."""
        wanted = beginning.casefold().strip()
        if not wanted:
            return []
        known = self.languages[language if language in self.languages else "en"].spoken
        begins = [name for name in known if name.casefold().startswith(wanted)]
        inside = [name for name in known if f" {wanted}" in name.casefold()]
        return [*sorted(begins, key=len), *sorted(inside, key=len)][:most]


def _as_thing(tokens: list[Token], item: _Found, language: _Language) -> _Found:
    """Where no thing is named, "orange" is one."""
    phrase = tuple(token.text for token in tokens[item.first : item.last])
    things = language.labels.get(phrase) or language.tags.get(phrase)
    if item.kind != "colour" or not things:
        return item
    return item._replace(kind="thing", meant=tuple(N_FIXED + i for i in things))


def _weighted(word: Word, weights: list[tuple[int, int, float]]) -> Word:
    inside = [w for start, end, w in weights if start <= word.start and word.end <= end]
    return replace(word, weight=inside[0]) if inside else word


class _Relation(NamedTuple):
    inverted: bool = False
    assumed: str = ""  # of two things without a word for it


def _roles(found: list[_Found], language: str) -> tuple[list[str], _Relation]:
    """What each phrase does, "" for nothing, and how the relation is to be read."""
    roles = [""] * len(found)
    things = [k for k, f in enumerate(found) if f.kind == "thing"][:2]
    relations = [k for k, f in enumerate(found) if f.kind == "relation"]
    if len(things) == 2 and not relations:  # "a cat on a car"
        relations = [k for k in range(*things) if found[k].kind == "on"]
    relation = next((k for k in relations if len(things) == 2), None)
    background = _background(found, things)
    if background is not None:
        roles[background] = "background"
    for k in _of_kind(found, "style"):
        roles[k] = "style"
        break
    if len(things) == 2:
        roles[things[0]], roles[things[1]] = "first", "second"
        if relation is None or found[relation].kind == "on":
            return roles, _Relation(assumed="left of" if relation is None else "above")
        roles[relation] = "layout"
        between = things[0] < relation < things[1]
        return roles, _Relation(inverted=between and language in AFTER)
    for k in things:
        roles[k] = "thing"
    for k in _of_kind(found, "modifier", "count"):
        roles[k] = "layout"
        break
    for k in _of_kind(found, "colour"):
        if not roles[k]:
            roles[k] = "thing's colour" if things else ""
            break
    return roles, _Relation()


def _of_kind(found: list[_Found], *kinds: str) -> Iterator[int]:
    return (k for k, f in enumerate(found) if f.kind in kinds)


def _background(found: list[_Found], things: list[int]) -> int | None:
    """The colour beside a word for background, or behind "on" with no thing after it."""
    colours = set(_of_kind(found, "colour"))
    for k in _of_kind(found, "background"):
        near = [at for at in (k - 1, k + 1, k - 2, k + 2) if at in colours]
        if near:
            return near[0]
    for k in sorted(colours):
        before = [f.kind for f in found[:k] if f.kind != "silent"]
        last_thing = max(things, default=-1)
        if before and before[-1] in ("on", "relation") and k > last_thing >= 0:
            return k
    return None
