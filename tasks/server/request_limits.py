"""Limits of what the server accepts, checked before gradio reads a request.

    app.launch(app_kwargs={"middleware": [Middleware(RequestLimits)]})

Gradio limits uploaded files; the JSON of a call it reads whatever its size. Some of its routes
serve features that this page does not have: one passes a visitor's file to the system's ffmpeg, one
writes the values of a visitor's page to the disk for good.
"""

import logging
import re

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.core import disk_errors

log = logging.getLogger("image_lab")
# B of a call; a camera's frame has 60,000, a photo of 12 megapixels in base64 about 6,000,000
MAX_JSON = 16_000_000
MAX_FORM = 120_000_000  # B of an upload: two dozen photos; gradio limits each
CLOSED = re.compile(r"/gradio_api/(process_recording|deep_link|proxy=|file=https?:)")
TOO_LONG = "At most {} MB can be sent at once."


class TooLongError(Exception):
    """A request's body is longer than its limit."""


class RequestLimits:
    """ASGI middleware: refuses what the page never sends.

    404 for CLOSED routes, 413 for long bodies, 507 for an upload for which the disk has no room.
    """

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
        is_form = headers.get(b"content-type", b"").startswith(b"multipart/")
        limit = MAX_FORM if is_form else MAX_JSON
        received, more, started = 0, True, False

        async def receive_counted() -> Message:
            nonlocal received, more
            message = await receive()
            received += len(message.get("body", b""))
            more = message.get("more_body", False)
            return message

        async def receive_limited() -> Message:
            message = await receive_counted()
            if received > limit:
                raise TooLongError
            return message

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        async def refuse(text: str, status: int) -> None:
            while more and received <= 2 * limit:  # a client that still sends does not listen
                await receive_counted()
            await PlainTextResponse(text, status, {"Connection": "close"})(scope, receive, send)

        try:
            declared = headers.get(b"content-length", b"0")
            if not declared.isdigit() or int(declared[:20]) > limit:
                raise TooLongError
            await self.app(scope, receive_limited, send_noted)
        except TooLongError:
            if started:
                raise
            await refuse(TOO_LONG.format(limit // 1_000_000), 413)
        except OSError as error:
            what = disk_errors.describe(error)
            if started or what is None:
                raise
            log.error("a request failed", exc_info=error)
            await refuse(disk_errors.sentence(what), 507)
