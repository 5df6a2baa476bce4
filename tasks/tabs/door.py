"""What the server takes in before gradio reads it: no endless requests, no routes that this page does not use.

    app.launch(app_kwargs=door.guarded())

Gradio limits uploaded files; the JSON of a call it reads whole, whatever its size. Some of its routes serve features
that this page does not have: one hands a visitor's file to the system's ffmpeg, one writes what a visitor has on the
page to the disk for good, and an address in place of a file is fetched without a limit.
"""

import logging
import os
import re
from typing import Any

import gradio as gr
from gradio import processing_utils
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks import disk

log = logging.getLogger("image_lab")
MAX_JSON = 16_000_000  # B of a call; a camera's frame has 60,000, a photo of 12 megapixels in base64 about 6,000,000
MAX_FORM = 120_000_000  # B of an upload: two dozen photos; gradio limits each
CLOSED = re.compile(r"/gradio_api/(process_recording|deep_link|proxy=|file=https?:)")
TOO_LONG = "At most {} MB can be sent at once."
NOT_FETCHED = "Addresses are not fetched here. Send the picture or video itself, as a file."


class TooLong(Exception):
    """A request's body is longer than it may be."""


class Door:
    """ASGI middleware: 404 for CLOSED routes, 413 for long bodies, 507 where an upload finds no room on the disk."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if CLOSED.match(scope["path"]):
            await PlainTextResponse("Not used here.", 404)(scope, receive, send)
            return
        headers = dict(scope["headers"])
        most = MAX_FORM if headers.get(b"content-type", b"").startswith(b"multipart/") else MAX_JSON
        came, more, begun = 0, True, False

        async def counted() -> Message:
            nonlocal came, more
            message = await receive()
            came += len(message.get("body", b""))
            more = message.get("more_body", False)
            return message

        async def limited() -> Message:
            message = await counted()
            if came > most:
                raise TooLong
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        async def refuse(text: str, status: int) -> None:
            while more and came <= 2 * most:  # who still sends does not listen
                await counted()
            await PlainTextResponse(text, status, {"Connection": "close"})(scope, receive, send)

        try:
            declared = headers.get(b"content-length", b"0")
            if not declared.isdigit() or int(declared[:20]) > most:
                raise TooLong
            await self.app(scope, limited, noted)
        except TooLong:
            if begun:
                raise
            await refuse(TOO_LONG.format(most // 1_000_000), 413)
        except OSError as error:
            what = disk.trouble(error)
            if begun or what is None:
                raise
            log.error("a request failed", exc_info=error)
            await refuse(disk.sentence(what), 507)


async def _not_fetched(url: str, cache_dir: str) -> str:
    raise gr.Error(NOT_FETCHED, print_exception=False)


def guarded() -> dict[str, Any]:
    """What `launch` takes as `app_kwargs`.

    From now on gradio answers an address in place of a file with a sentence, but where whoever runs it offers tools of
    the Model Context Protocol, whose clients hardly have another way to send a picture.
    """
    if not os.environ.get("GRADIO_MCP_SERVER"):
        processing_utils.async_ssrf_protected_download = _not_fetched
    return {"middleware": [Middleware(Door)]}
