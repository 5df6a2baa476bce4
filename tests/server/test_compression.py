"""The page is compressed; answers of the API and event streams are not, and are sent at once."""

import gzip
import urllib.request
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tasks.server.compression import CompressPage

PAGE = "<p>a page</p>" * 1000


def fetch(url: str) -> tuple[bytes, str]:
    """(body as sent, its encoding) for a browser that takes gzip."""
    asked = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return answer.read(), answer.headers.get("Content-Encoding", "")


def test_the_page_has_a_fifth_of_its_bytes(app_url: str) -> None:
    body, encoding = fetch(app_url)
    assert encoding == "gzip"
    html = gzip.decompress(body)
    assert b"Image Lab" in html
    assert len(body) < len(html) / 5


def test_api_answers_are_not_compressed(app_url: str) -> None:
    assert fetch(f"{app_url}gradio_api/info")[1] == ""


@pytest.mark.parametrize("path", ["/gradio_api/queue/data", "/elsewhere"])
def test_an_event_stream_is_not_held_back(path: str) -> None:
    """The app's own middleware in front of a stream that never ends by itself."""

    async def events() -> AsyncIterator[bytes]:
        for number in range(3):
            yield f"data: {number}\n\n".encode()

    def stream(request: object) -> StreamingResponse:
        return StreamingResponse(events(), media_type="text/event-stream")

    messages: list[bytes] = []

    class Recorder:
        def __init__(self, app: CompressPage):
            self.app = app

        async def __call__(self, scope, receive, send):  # type: ignore[no-untyped-def]
            async def noted(message):  # type: ignore[no-untyped-def]
                if message["type"] == "http.response.body" and message.get("body"):
                    messages.append(message["body"])
                await send(message)

            await self.app(scope, receive, noted)

    inner = Starlette(routes=[Route(path, stream)])
    with TestClient(Recorder(CompressPage(inner))) as client:  # type: ignore[arg-type]
        answer = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert messages == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]


def test_small_answers_and_clients_without_gzip_get_plain_text() -> None:
    routes = [
        Route("/small", lambda request: PlainTextResponse("small")),
        Route("/large", lambda request: PlainTextResponse(PAGE)),
    ]
    with TestClient(CompressPage(Starlette(routes=routes))) as client:
        assert "content-encoding" not in client.get("/small").headers
        large = client.get("/large", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in large.headers and large.text == PAGE
        assert client.get("/large").headers["content-encoding"] == "gzip"
