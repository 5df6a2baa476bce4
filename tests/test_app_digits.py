"""The digits tab through its HTTP interface."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests import hostile


@pytest.fixture(scope="module")
def client(app_url: str) -> Iterator[Client]:
    client = Client(app_url, verbose=False)
    yield client
    client.close()


def test_classify_digit(client: Client, tmp_path: Path) -> None:
    answer = client.predict(handle_file(hostile.good_png(tmp_path)), api_name="/classify_digit")
    assert max(answer, key=answer.__getitem__) == "1"
    assert sum(answer.values()) == pytest.approx(1, abs=1e-4)


FILES = [n for n in hostile.REFUSED if n not in ("None", "float NaN", "float beyond 1", "two channels")]


@pytest.mark.parametrize("name", FILES)
def test_bad_files_are_answered_with_a_sentence(client: Client, name: str, tmp_path: Path) -> None:
    with pytest.raises(AppError) as caught:
        client.predict(handle_file(hostile.REFUSED[name](tmp_path)), api_name="/classify_digit")
    text = str(caught.value)
    assert "Traceback" not in text
    assert "picture" in text.lower()
    answer = client.predict(handle_file(hostile.good_png(tmp_path)), api_name="/classify_digit")
    assert max(answer, key=answer.__getitem__) == "1"


def test_nothing_sent(client: Client) -> None:
    with pytest.raises(AppError, match="No picture came"):
        client.predict(None, api_name="/classify_digit")


def test_only_documented_endpoints_are_listed(client: Client) -> None:
    listed = client.view_api(return_format="dict", print_info=False)
    assert isinstance(listed, dict)
    assert "/classify_digit" in listed["named_endpoints"]
    assert all(name.startswith("/classify_") for name in listed["named_endpoints"])
    assert not listed["unnamed_endpoints"]
