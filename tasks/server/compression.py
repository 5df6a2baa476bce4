"""The page's HTML, scripts and styles are sent compressed: 1.4 MB become about 0.2 MB.

Answers of the API are not: they are images, base64 and event streams, and the processor is needed
for the models.
"""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

API = "/gradio_api/"
LEVEL = 5  # 9 takes three times as long and saves 2 % more


class CompressPage:
    """ASGI middleware: gzip for everything outside the API."""

    def __init__(self, app: ASGIApp):
        self.app = app
        self.gzip = GZipMiddleware(app, minimum_size=1000, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and not scope["path"].startswith(API)
        await (self.gzip if is_page else self.app)(scope, receive, send)
