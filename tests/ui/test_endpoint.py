"""What programs send to endpoints: taken for what it says, or refused in a sentence."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np
import pytest

from tasks.core.images import ImageError
from tasks.diffusion.tab.api import painted
from tasks.ui.endpoint import endpoint, flag, number, read, read_arguments

# (sent, asked for, what it is)
TAKEN = [
    (12, int, 12),
    ("12", int, 12),
    (" 12 ", int, 12),
    (12.0, int, 12),
    ("12.0", int, 12),
    ("-3", int, -3),
    (2, float, 2),
    ("0.25", float, 0.25),
    (".5", float, 0.5),
    ("1e-2", float, 0.01),
    (None, int, None),
    ("", float, None),
    (True, bool, True),
    ("true", bool, True),
    ("False", bool, False),
    (" no ", bool, False),
    ("on", bool, True),
    (0, bool, False),
    ("1", bool, True),
]
REFUSED = [
    (1.5, int, "n is a whole number; 1.5 came"),
    ("2.5", int, "n is a whole number; 2.5 came"),
    ("twelve", int, "n is a whole number; twelve came"),
    (True, int, "n is a whole number; True came"),
    ("٣", int, "n is a whole number"),
    ("1_000", int, "n is a whole number"),
    ("0,5", float, "n is a number; '0,5' came"),
    ("nan", float, "n is a number; 'nan' came"),
    (float("inf"), float, "n is a number"),
    (10**400, float, "n is a number"),
    (False, float, "n is a number"),
    ([1], float, "n is a number"),
    ({"a": 1}, int, "n is a whole number"),
    ("maybe", bool, "n is true or false; 'maybe' came"),
    (2, bool, "n is true or false"),
    (0.5, bool, "n is true or false"),
    ([], bool, "n is true or false"),
]


@pytest.mark.parametrize(("sent", "kind", "meant"), TAKEN, ids=str)
def test_taken(sent: Any, kind: type, meant: Any) -> None:
    got = read(sent, kind, "n")
    assert got == meant and (meant is None or type(got) is type(meant))


@pytest.mark.parametrize(("sent", "kind", "text"), REFUSED, ids=str)
def test_refused(sent: Any, kind: type, text: str) -> None:
    with pytest.raises(ImageError, match=text.replace("(", r"\(")):
        read(sent, kind, "n")


def test_arguments_are_read_by_their_hints() -> None:
    def function(
        name: str, n: int = 1, share: float | None = None, really: bool = False, other: Any = 0
    ) -> list[Any]:
        return [name, n, share, really, other]

    wrapped = read_arguments(function)
    assert wrapped("7", "2", "0.5", "yes", "5") == ["7", 2, 0.5, True, "5"]
    assert wrapped("", n="3") == ["", 3, None, False, 0]
    with pytest.raises(ImageError, match="n is a whole number"):
        wrapped("7", 2.5)


def test_an_endpoint_gets_what_was_sent() -> None:
    got = []

    def count(n: int = 10, really: bool = True) -> Iterator[int]:
        """Counts."""
        got.append((n, really))
        yield n

    with gr.Blocks() as page:
        endpoint(count, [number(10, "n"), flag(True, "really")], gr.JSON(visible=False))
    (event,) = page.fns.values()
    sent = [
        component.preprocess(v) for component, v in zip(event.inputs, ("3", "off"), strict=True)
    ]
    assert list(event.fn(*sent)) == [3] and got == [(3, False)]  # type: ignore[misc]
    assert (event.api_name, event.api_description) == ("count", "Counts.")
    with pytest.raises(gr.Error, match="n is a whole number"):
        list(event.fn(2.5, True))  # type: ignore[misc]


@pytest.mark.parametrize("stroke", [(255, 255, 255), (0, 0, 0), (200, 30, 30)])
def test_a_mask_with_transparency_means_what_is_painted(stroke: tuple[int, int, int]) -> None:
    mask = np.zeros((40, 40, 4), np.uint8)
    mask[:, 20:] = (*stroke, 255)
    hidden = painted(mask) > 127
    assert hidden[:, 20:].all() and not hidden[:, :20].any()


def test_a_mask_of_black_and_white_is_bright_where_it_hides() -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[:, 20:] = 255
    assert np.array_equal(painted(mask), mask)
    partly = np.dstack([mask, mask, mask, np.full((40, 40), 255, np.uint8)])
    partly[:10, :, 3] = 0  # neither black nor white was painted here
    hidden = painted(partly) > 127
    assert hidden[10:, 20:].all() and not hidden[:10].any() and not hidden[:, :20].any()
