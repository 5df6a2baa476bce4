"""Send to: any picture of the page becomes the input of another tab, as if the visitor had uploaded it there.

send.js, which the page's head carries, knows the tabs and defines the menu, `<send-to>`. A widget puts one beside its
picture in its own HTML; `send_to` puts one beside a gradio component.
"""

from pathlib import Path

import gradio as gr

HEAD = "<script>" + (Path(__file__).parent / "send.js").read_text(encoding="utf-8") + "</script>"


def send_gallery(elem_id: str) -> gr.HTML:
    """The menu below a gallery: for the picture that is opened in it, or the first one."""
    return send_to("photo", f"#{elem_id} .preview img, #{elem_id} img", "Send the opened picture to…")


def send_to(kind: str, of: str, label: str = "Send to…") -> gr.HTML:
    """A menu of the tabs that take a "digit" or a "photo"; `of`: the picture's CSS selector."""
    return gr.HTML(f'<send-to kind="{kind}" of="{of}" label="{label}"></send-to>', padding=False)
