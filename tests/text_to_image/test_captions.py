"""Captions in twelve languages, read by the bundled model's own vocabulary."""

import json
import string
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core import weights
from tasks.networks.word_unet import TextReader
from tasks.text_to_image.captions import Caption, Vocabulary, fixed_words, tokenise
from tasks.text_to_image.concepts import (
    COLOURS,
    COUNTS,
    FIXED,
    LANGUAGES,
    MODIFIERS,
    N_FIXED,
    RELATIONS,
)

NAMES = {number: name for name, number in FIXED.items()}


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    reader, _ = weights.load("text_to_image_words", TextReader)
    return Vocabulary(json.loads(zlib.decompress(reader.names.numpy().tobytes())))


def read(vocabulary: Vocabulary, text: str) -> dict[str, str]:
    """Role -> the first concept that was read, by its English name."""
    return {word.role: name_of(vocabulary, word.meant) for word in vocabulary.read(text).words}


def name_of(vocabulary: Vocabulary, meant: Sequence[int]) -> str:
    return NAMES[meant[0]] if meant[0] < N_FIXED else vocabulary.label(meant[0] - N_FIXED)


FOX_ON_BLUE = {
    "en": "a fox on a blue background",
    "de": "ein Fuchs auf blauem Hintergrund",
    "fr": "un renard sur fond bleu",
    "es": "un zorro sobre fondo azul",
    "it": "una volpe su sfondo blu",
    "pt": "uma raposa em fundo azul",
    "nl": "een vos op een blauwe achtergrond",
    "pl": "lis na niebieskim tle",
    "ru": "лиса на синем фоне",
    "zh": "蓝色背景上的狐狸",
    "ja": "青い背景のキツネ",
    "hi": "नीली पृष्ठभूमि पर लोमड़ी",
}
"""The same in every language of the vocabulary."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_background_in_every_language(vocabulary: Vocabulary, language: str) -> None:
    text = FOX_ON_BLUE[language]
    caption = vocabulary.read(text)
    assert read(vocabulary, text) == {"thing": "fox", "background": "blue"}
    assert caption.language == language and not caption.unknown


CAT_LEFT_OF_DOG = {
    "en": "a cat to the left of a dog",
    "de": "eine Katze links von einem Hund",
    "fr": "un chat à gauche d'un chien",
    "es": "un gato a la izquierda de un perro",
    "it": "un gatto a sinistra di un cane",
    "nl": "een kat links van een hond",
    "zh": "猫在狗的左边",
}


@pytest.mark.parametrize("language", CAT_LEFT_OF_DOG)
def test_left_of(vocabulary: Vocabulary, language: str) -> None:
    found = read(vocabulary, CAT_LEFT_OF_DOG[language])
    assert found == {"first": "cat", "layout": "left of", "second": "dog"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("foxes", {"thing": "fox"}),
        ("🦊", {"thing": "fox"}),
        ("🐻‍❄️ on pink", {"thing": "polar bear", "background": "pink"}),
        ("two cats", {"layout": "two", "thing": "cat"}),
        ("ein kleiner roter Fuchs", {"layout": "small", "thing's colour": "red", "thing": "fox"}),
        ("a cat on a car", {"first": "cat", "second": "automobile", "layout": "above"}),
        (
            "犬の左に猫",
            {"first": "dog", "layout": "right of", "second": "cat"},
        ),  # a cat at its left
        ("une rose sur fond noir", {"thing": "rose", "background": "black"}),
        ("twemoji pizza", {"style": "twemoji", "thing": "pizza"}),
        ("A RED FOX!!!", {"thing's colour": "red", "thing": "fox"}),
        ("blue background", {"background": "blue"}),
        ("", {}),
    ],
)
def test_what_a_word_does(vocabulary: Vocabulary, text: str, expected: dict[str, str]) -> None:
    assert read(vocabulary, text) == expected


def test_every_name_is_read_as_its_thing(vocabulary: Vocabulary) -> None:
    """In the languages that are measured; a name that several things share may be any of them."""
    for code in ("en", "de", "es", "zh"):
        wrong = []
        for thing, entry in enumerate(vocabulary.names):
            words = vocabulary.read(entry[code][0], code).words if code in entry else ()
            if not any(N_FIXED + thing in word.meant for word in words):
                wrong.append(entry.get(code, ["-"])[0])
        assert len(wrong) <= 0.03 * len(vocabulary.names), (code, wrong)


def test_unknown_words_and_their_neighbours(vocabulary: Vocabulary) -> None:
    caption = vocabulary.read("a fxo and a guitr on green")
    unknown = {word.text: word.nearest for word in caption.unknown}
    assert "fox" in unknown["fxo"] or unknown["fxo"]
    assert "guitar" in unknown["guitr"]
    assert read(vocabulary, "a fxo and a guitr on green").get("background", "green") == "green"


def test_weights_of_words(vocabulary: Vocabulary) -> None:
    text = "a (fox:0.5) on a (blue: 0) background"
    words = vocabulary.read(text).words
    assert [(w.text, w.weight) for w in words] == [("fox", 0.5), ("blue", 0.0)]
    assert all(text[w.start : w.end] == w.text for w in words)


def test_suggestions_begin_as_typed(vocabulary: Vocabulary) -> None:
    assert vocabulary.suggest("guit") == ["guitar"]
    assert all(name.lower().startswith("ka") for name in vocabulary.suggest("ka", "de")[:5])
    assert vocabulary.suggest("  ") == [] and len(vocabulary.suggest("a")) <= 8


def test_a_third_thing_is_said_to_be_left_out(vocabulary: Vocabulary) -> None:
    assert vocabulary.read("a cat, a dog and a horse").unused == ("horse",)


def test_fixed_words_cover_every_concept_in_every_language() -> None:
    wanted = {
        "colours": COLOURS,
        "relations": RELATIONS,
        "modifiers": MODIFIERS,
        "counts": COUNTS,
    }
    assert set(fixed_words()) == set(LANGUAGES)
    for code, groups in fixed_words().items():
        for group, concepts in wanted.items():
            assert set(groups[group]) == set(concepts), (code, group)


SIGNS = string.printable + "üß狐猫の左ñé🦊\u200d\ufe0f\u0939\u093f()::"


@settings(max_examples=150, deadline=None)
@given(
    st.text(
        st.sampled_from(string.printable + "üß狐猫の左ñé🦊\u200d\ufe0f\u0939\u093f()::"),
        max_size=60,
    )
)
def test_any_text_is_read(vocabulary: Vocabulary, text: str) -> None:
    caption = vocabulary.read(text)
    assert isinstance(caption, Caption)
    for word in caption.words:
        assert word.meant and (not word.text or text[word.start : word.end] == word.text)
    for token in tokenise(text):
        assert 0 <= token.start < token.end <= len(text)
