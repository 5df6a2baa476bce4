"""Image Lab: six families of machine learning on images, live in one page.

    python app.py        then open http://127.0.0.1:7860

Gradio's own environment variables choose address and port (GRADIO_SERVER_NAME, GRADIO_SERVER_PORT).
"""

import os
import threading

from tasks import memory
from tasks.tabs import leftovers
from tasks.tabs.startup import quick_build, quick_import, set_environment, without_garbage_collection

with quick_import():
    set_environment()
    if __name__ == "__main__":
        memory.look_after()
        leftovers.look_after()  # before gradio notes where its files go
    import gradio as gr

from tasks.tabs import (
    about,
    classification,
    compare,
    denoising,
    detection,
    diffusion,
    door,
    gan,
    header,
    result_files,
    segmentation,
    send,
    start,
    theme,
)

TABS = (start, classification, detection, segmentation, denoising, gan, diffusion, compare, about)
"""The tabs in the order shown; each module has TITLE and build_tab()."""

KEPT_S = 60 * int(os.environ.get("IMAGE_LAB_KEEP_MINUTES", "60"))  # of visitors' files; half as long again at most


def build_app() -> gr.Blocks:
    """The whole page, to be launched; no model is loaded here."""
    kept = (KEPT_S // 2, KEPT_S)
    with quick_build(), gr.Blocks(title="Image Lab", delete_cache=kept, analytics_enabled=False) as app:
        app.queue(max_size=64, default_concurrency_limit=2, api_open=False)  # nobody passes the queue by
        header.build_header()
        with gr.Tabs(elem_id="tabs"):
            for tab in TABS:
                with gr.Tab(tab.TITLE, id=tab.TITLE.lower()):
                    tab.build_tab()
    return app


def main() -> None:
    result_files.use()
    with without_garbage_collection():
        app = build_app()
        app.launch(
            theme=theme.THEME,
            css=theme.CSS,
            head=theme.HEAD + send.HEAD,
            footer_links=["api"],
            run_history=False,  # nobody's pictures are kept, not even in their own browser
            max_file_size="50mb",
            ssr_mode=False,
            state_session_capacity=64,  # pages that gradio remembers; each takes 2.3 MB
            app_kwargs=door.guarded(),
            prevent_thread_lock=True,
        )
    threading.Thread(target=header.warm_up, daemon=True).start()  # only now: the page answers before torch is there
    app.block_thread()


if __name__ == "__main__":
    main()
