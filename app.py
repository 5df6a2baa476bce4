"""Image Lab: six families of machine learning on images, live in one page.

    python app.py        then open http://127.0.0.1:7860

Gradio's own environment variables choose address and port (GRADIO_SERVER_NAME, GRADIO_SERVER_PORT).
"""

import os
import threading

from tasks.server import temp_files
from tasks.server.environment import limit_malloc, set_environment, without_garbage_collection
from tasks.server.field_types import refuse_other_types
from tasks.server.gradio_patches import patch_server, patched_import

with without_garbage_collection(), patched_import():
    set_environment()
    if __name__ == "__main__":
        limit_malloc()
        temp_files.use_own_folder()  # before gradio notes where its files go
    import gradio as gr

from starlette.middleware import Middleware

from tasks.classification import tab as classification
from tasks.compare import tab as compare
from tasks.denoising import tab as denoising
from tasks.detection import background
from tasks.detection import tab as detection
from tasks.diffusion import tab as diffusion
from tasks.gan import tab as gan
from tasks.segmentation import tab as segmentation
from tasks.server.compression import CompressPage
from tasks.server.request_limits import RequestLimits
from tasks.text_to_image import tab as text_to_image
from tasks.ui import recordings, send_to, start
from tasks.ui.on_device import runtime
from tasks.ui.on_device.files import DeviceFiles
from tasks.ui.page import about, footer, header, languages, links, theme

TABS = (
    start,
    classification,
    detection,
    segmentation,
    denoising,
    gan,
    diffusion,
    text_to_image,
    compare,
    about,
)
"""The tabs in the order shown; each module has TITLE and build_tab()."""

# s that visitors' files are kept at least; half as long again at most
KEEP_S = 60 * int(os.environ.get("IMAGE_LAB_KEEP_MINUTES", "60"))


CALLS_AT_ONCE = 2  # of one event
MAX_THREADS = 512
"""More than all events at once may hold, so that widgets' functions always find one."""


def build_app() -> gr.Blocks:
    """The whole page, to be launched; no model is loaded here."""
    delete_cache = (KEEP_S // 2, KEEP_S)
    recordings.serve()
    with gr.Blocks(title="Image Lab", delete_cache=delete_cache, analytics_enabled=False) as app:
        # Calls of an event wait here behind two others of it, 64 in all; who computes, the
        # scheduler decides (tasks/core/scheduling.py). The widgets' server functions do not wait:
        # they answer at once or say that the server is busy.
        app.queue(max_size=64, default_concurrency_limit=CALLS_AT_ONCE, api_open=False)
        header.build_header()
        with gr.Tabs(elem_id="tabs"):
            for tab in TABS:
                with gr.Tab(tab.TITLE, id=tab.TITLE.lower().replace(" ", "-")):
                    tab.build_tab()
        footer.build_footer()
        send_to.connect(app)
    refuse_other_types(app)
    return app


def _after_the_start() -> None:
    header.warm_up()
    if fetching := background.start():
        fetching.join()
    runtime.fetch_early()


def main() -> None:
    patch_server()
    layers = [Middleware(RequestLimits), Middleware(DeviceFiles), Middleware(CompressPage)]
    with without_garbage_collection():
        app = build_app()
        head = theme.HEAD + send_to.HEAD + links.script_of(app)  # by the tabs' English names
        app.launch(
            i18n=languages.translate(app),
            theme=theme.THEME,
            css=theme.CSS,
            head=head,
            footer_links=[],  # tasks/ui/page/footer.py has them
            enable_monitoring=False,  # else the API page says "0 % successful"
            run_history=False,  # no visitor's images are kept, not even in their browser
            max_file_size="50mb",
            max_threads=MAX_THREADS,
            ssr_mode=False,
            state_session_capacity=64,  # pages that gradio remembers; each takes 2.3 MB
            app_kwargs={"middleware": layers},
            prevent_thread_lock=True,
            # Only skips gradio's request to itself, which renders the page once more and ends the
            # app where that takes longer than 3 s, as on busy cores.
            _frontend=False,
        )
    # only now: the page answers before torch is imported
    threading.Thread(target=_after_the_start, daemon=True).start()
    app.block_thread()


if __name__ == "__main__":
    main()
