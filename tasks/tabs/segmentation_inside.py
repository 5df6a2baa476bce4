"""Inside the U-Net: what encoder and decoder make of the picture at each scale, and a switch that cuts each skip."""

from html import escape
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np

from tasks import compute
from tasks.images import ImageLike
from tasks.tabs import segmenters
from tasks.tabs.errors import answering
from tasks.tabs.segmentation_pictures import jpeg_url, url

CHANNELS = 12  # shown of each map: those that differ most over the picture
ACROSS, THUMB = 6, 88  # thumbnails in a row, px of one's longer side
SHOWN = 480  # px of the class pictures
LEAD = (
    "<p class='lab-lead'>Down on the left the encoder halves the picture again and again: it learns what is there and "
    "forgets where. Up on the right the decoder enlarges it; at each scale a skip connection brings back the encoder's "
    "sharper map. Cut skips, and see what each of them brought.</p>"
)
HINT = "<p class='lab-lead'>Choose a picture in the tab “Picture”; its way through the network appears here.</p>"
HERE = Path(__file__).parent


def look_inside(picture: ImageLike, name: str, cut: list[str]) -> str:
    """The figure as HTML. Raises ImageError, WeightsError."""
    if picture is None:
        return HINT
    model = segmenters.segmenter(name)
    scales = {int(text.partition("/")[2]) for text in cut}
    with compute.HEAVY, compute.stopwatch() as ms:
        whole = model.maps(picture)
        maps = model.maps(picture, scales) if scales else whole
    return figure(maps, whole["probabilities"], model, scales, ms())


def figure(maps: dict[str, np.ndarray], whole: np.ndarray, model: Any, cut: set[int], ms: float) -> str:
    """The U: a row a scale, the encoder on the left, the decoder on the right, the skip between them."""
    p = maps["probabilities"]
    names = [name.partition(" ")[2] for name in maps if name.startswith("encoder")]
    with_all, now = whole.argmax(0), p.argmax(0)
    rows = [
        f"{_classes(with_all, model, 'classes, all skips whole')}<div></div>"
        f"{_classes(now, model, 'classes, as cut' if cut else 'classes')}"
    ]
    for scale in names[:-1]:
        is_cut = int(scale.partition("/")[2]) in cut
        skip = f"<div class='skip{' cut' if is_cut else ''}'>{'cut' if is_cut else 'skip'} {scale}</div>"
        rows.append(_map(maps, f"encoder {scale}") + skip + _map(maps, f"decoder {scale}"))
    bottom = _map(maps, f"encoder {names[-1]}", "bottom")
    took = f"{ms:.0f} ms · PyTorch, {compute.device_name()}"
    return (
        f"{_changed(with_all, now, model.class_names, cut)}<div class='unet'>{''.join(rows)}{bottom}</div>"
        f"<p class='lab-lead'>{took}</p>"
    )


def _changed(before: np.ndarray, now: np.ndarray, names: tuple[str, ...], cut: set[int]) -> str:
    if not cut:
        return "<p class='unet-changed' aria-live='polite'><b>All skips are whole.</b></p>"
    lost = []
    for c, name in enumerate(names):
        there = int((before == c).sum())
        if there > 0.001 * before.size:
            lost.append((1 - int(((before == c) & (now == c)).sum()) / there, name))
    worst = ", ".join(f"{escape(name)} ({100 * share:.0f} %)" for share, name in sorted(lost, reverse=True)[:4])
    changed = 100 * float((before != now).mean())
    text = f"Without {'the skip' if len(cut) == 1 else 'the skips'} of {', '.join(f'1/{s}' for s in sorted(cut))}"
    return (
        f"<p class='unet-changed' aria-live='polite'><b>{text}, {changed:.1f} % of the pixels change their class.</b> "
        f"Most is lost of {worst}.</p>"
    )


def _classes(ids: np.ndarray, model: Any, title: str) -> str:
    rgb = model.palette[ids]
    scale = min(1.0, SHOWN / max(rgb.shape[:2]))
    small = cv2.resize(rgb, (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))),
                       interpolation=cv2.INTER_NEAREST)  # fmt: skip
    buffer = cv2.imencode(".png", small[..., ::-1])[1]
    return f"<figure><img src='{url(buffer.tobytes())}' alt='{title}'><figcaption>{title}</figcaption></figure>"


def _map(maps: dict[str, np.ndarray], name: str, kind: str = "") -> str:
    m = maps[name]
    c, high, wide = m.shape
    n = min(CHANNELS, c)
    title = f"{name}: {c} maps of {wide} x {high}" + (f", {n} of them" if n < c else "")
    source = jpeg_url(montage(m), 85)
    figcaption = f"<figcaption>{title}</figcaption>"
    return f"<figure class='{kind}'><img src='{source}' alt='Feature maps, {title}'>{figcaption}</figure>"


def montage(m: np.ndarray) -> np.ndarray:
    """The channels that differ most over the picture, each from its darkest to its brightest; uint8 (H, W, 3)."""
    order = np.argsort(-m.std((1, 2)), kind="stable")[:CHANNELS]
    scale = THUMB / max(m.shape[1:])
    size = (max(1, round(m.shape[2] * scale)), max(1, round(m.shape[1] * scale)))
    thumbs = []
    for channel in m[np.sort(order)]:
        low, high = np.percentile(channel, (1, 99))
        grey = ((channel - low) / max(float(high - low), 1e-6)).clip(0, 1)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
        small = cv2.resize((grey * 255).round().astype(np.uint8), size, interpolation=method)
        thumbs.append(np.pad(small, 1))
    while len(thumbs) % ACROSS:
        thumbs.append(np.zeros_like(thumbs[0]))
    rows = [np.concatenate(thumbs[i : i + ACROSS], 1) for i in range(0, len(thumbs), ACROSS)]
    return np.repeat(np.concatenate(rows)[..., None], 3, 2)


def scales_of(name: str) -> list[str]:
    """The skips that can be cut; the same as SCALES of the two networks, which need torch."""
    return [f"1/{s}" for s in ((1, 2, 4, 8) if name == "segmentation_unet" else (2, 4, 8, 16))]


def build_inside(picture: gr.State) -> None:
    gr.HTML(LEAD)
    offered = segmenters.choices()
    with gr.Row():
        model = gr.Dropdown(offered, value=offered[0][1], label="Network", filterable=False, min_width=280,
                            elem_id="inside-model")  # fmt: skip
        cut = gr.CheckboxGroup(scales_of(offered[0][1]), value=[], label="Cut the skips of scale", min_width=280,
                               elem_id="inside-cut")  # fmt: skip
    drawn = gr.HTML(
        HINT, css_template=(HERE / "segmentation_inside.css").read_text(encoding="utf-8"), elem_id="inside-figure"
    )
    model.change(lambda name: gr.update(choices=scales_of(name), value=[]), model, cut, show_progress="hidden",
                 api_visibility="private")  # fmt: skip
    gr.on(
        [picture.change, model.change, cut.input], answering(look_inside), [picture, model, cut], drawn,
        trigger_mode="always_last", show_progress="minimal", concurrency_id="heavy", api_visibility="private",
    )  # fmt: skip
