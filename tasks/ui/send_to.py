"""Send to: any image of the page becomes the input of another tab.

send_to.js, in the page's head, defines the menu, `<send-to>`. A widget puts one beside its image in
its own HTML; `send_to` puts one beside a gradio component. `connect` adds a hidden component: the
image is uploaded by it, as a visitor's file would be, and its event sets the value of the target.
"""

import json
from pathlib import Path
from typing import NamedTuple

import gradio as gr

HEAD = "<script>" + Path(__file__).with_suffix(".js").read_text(encoding="utf-8") + "</script>"
SCRIPT = """
window.sendTo = {targets: TARGETS, submit: async (file, target) => {
  const {path, url} = await upload(file);
  const data = {path, url, orig_name: file.name, size: file.size, mime_type: file.type,
    meta: {_type: 'gradio.FileData'}};
  props.value = {to: target.id, file: data, at: Date.now()};
  trigger('submit');
}};
"""


class Target(NamedTuple):
    """An input that takes an image of a kind, "digit" or "photo"; `model`: chosen there first."""

    title: str
    kind: str
    elem_id: str
    model: str = ""


TARGETS = (
    Target("Digit classifier", "digit", "digit-pad"),
    Target("Denoising: noisy digits", "digit", "noisy-digit"),
    Target("Diffusion: inpaint", "digit", "inpaint-pad", "mnist"),
    Target("Diffusion: forward and back", "digit", "forward-pad", "mnist"),
    Target("Diffusion: super-resolve", "digit", "small-pad", "mnist"),
    Target("GAN: the discriminator", "digit", "gan-discriminator"),
    Target("Photo classifier", "photo", "photo-picture"),
    Target("Detection", "photo", "detect-picture"),
    Target("Segmentation", "photo", "segment-picture"),
    Target("Denoising", "photo", "noisy-picture"),
    Target("Enlarging", "photo", "enlarge-picture"),
    Target("Undoing JPEG", "photo", "jpeg-picture"),
)


def connect(app: gr.Blocks) -> None:
    """Connect the menus with all of TARGETS that are on the page; called when it is built."""
    inputs = {block.elem_id: block for block in app.blocks.values()}
    targets = [target for target in TARGETS if target.elem_id in inputs]
    described = [
        {
            "title": target.title,
            "kind": target.kind,
            "id": target.elem_id,
            "link": link_of(inputs[target.elem_id]),
            "model": target.model,
            "is_widget": isinstance(inputs[target.elem_id], gr.HTML),
        }
        for target in targets
    ]
    sender = gr.HTML(
        html_template="",
        js_on_load=SCRIPT.replace("TARGETS", json.dumps(described)),
        elem_id="send-to",
        visible="hidden",
    )
    sender.submit(
        None,
        sender,
        [inputs[target.elem_id] for target in targets],
        js="(sent) => window.routeImage(sent)",
        api_visibility="private",
    )


def link_of(block: gr.blocks.Block) -> str:
    """The link to the tab that a block is in: "#gan/steer"."""
    ids = []
    parent = block.parent
    while parent is not None:
        if isinstance(parent, gr.Tab):
            ids.append(str(parent.id))
        parent = parent.parent
    return "#" + "/".join(reversed(ids))


def send_gallery(elem_id: str) -> gr.HTML:
    """The menu below a gallery: for the image that is opened in it, or the first one."""
    return send_to("photo", f"#{elem_id} .preview img, #{elem_id} img", "Send the opened image to…")


def send_to(kind: str, of: str, label: str = "Send to…") -> gr.HTML:
    """A menu of the tabs that take a "digit" or a "photo"; `of`: the image's CSS selector."""
    return gr.HTML(f'<send-to kind="{kind}" of="{of}" label="{label}"></send-to>', padding=False)
