"""Inside the U-Net: feature maps of encoder and decoder at each scale, switches for the skips."""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from tasks import loaders, models
from tasks.core import device, scheduling
from tasks.core.device import stopwatch
from tasks.core.images import ImageLike
from tasks.segmentation.tab.images import jpeg_url
from tasks.ui import recordings
from tasks.ui.errors import report_errors
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.widget import data_url, load

CHANNELS = 12  # of each scale are shown: those with the largest standard deviation
ACROSS, THUMB = 6, 88  # thumbnails in a row, px of their longer side
VIEW_SIDE = 480  # px of the longer side of the class images
CHANGED_RGB, SAME_RGB = (239, 154, 93), (40, 44, 49)
CUT_BY_CLICK = """element.addEventListener('click', ({target}) => {
  const skip = target.closest('.skip');
  if (!skip) return;
  const boxes = [...document.querySelectorAll('#inside-cut input[type=checkbox]')];
  boxes.find((box) => box.closest('label').textContent.trim() === skip.dataset.scale)?.click();
});"""
LEAD = lead(
    "Click an arrow to cut its skip connection; see which pixels change their class.",
    "On the left the encoder halves the resolution at each scale: its maps know what is in the "
    "image, less and less where. On the right the decoder doubles it again, and a skip connection "
    "adds the encoder's map of the same scale.",
    flow(
        "image:image",
        "narrow:encoder",
        "wide:decoder",
        "mask:classes",
        back="skip connections join encoder and decoder at each scale",
    ),
)
NOTHING_CUT = "<p class='nothing'>Click an arrow below: the pixels that change show here.</p>"
HINT = "<p class='lab-lead'>Choose an image in the tab “Image”; its feature maps appear here.</p>"


def look_inside(image: ImageLike, name: str, cut: list[str]) -> str:
    """The figure as HTML. Raises ImageError, WeightsError."""
    if image is None:
        return HINT
    model = loaders.segmenter(name)
    scales = {int(text.partition("/")[2]) for text in cut}
    with scheduling.CORES.step(), stopwatch() as ms:
        intact = model.maps(image)
        maps = model.maps(image, scales) if scales else intact
    return figure(maps, intact["probabilities"], model, scales, ms())


def figure(
    maps: dict[str, np.ndarray], intact: np.ndarray, model: Any, cut: set[int], ms: float
) -> str:
    """The U: a row a scale, the encoder on the left, the decoder on the right, the skip between
    them.
    """
    p = maps["probabilities"]
    names = [name.partition(" ")[2] for name in maps if name.startswith("encoder")]
    with_all, now = intact.argmax(0), p.argmax(0)
    rows = [
        "<div class='results'>"
        f"{_image(model.palette[with_all], 'classes, all skips connected')}"
        f"{_image(model.palette[now], 'classes, skips cut' if cut else 'classes')}"
        f"{_change_map(with_all, now) if cut else NOTHING_CUT}</div>"
    ]
    for scale in names[:-1]:
        is_cut = int(scale.partition("/")[2]) in cut
        skip = (
            f"<button type='button' class='skip{' cut' if is_cut else ''}' data-scale='{scale}' "
            f"aria-pressed='{'true' if is_cut else 'false'}' title='Click to cut or connect it'>"
            f"{'cut' if is_cut else 'skip'} {scale}</button>"
        )
        rows.append(_map(maps, f"encoder {scale}") + skip + _map(maps, f"decoder {scale}"))
    bottom = _map(maps, f"encoder {names[-1]}", "bottom")
    took = f"{ms:.0f} ms · PyTorch, {device.name()}"
    return (
        f"{_changed(with_all, now, model.class_names, cut)}<div "
        f"class='unet'>{''.join(rows)}{bottom}</div><p class='lab-lead'>{took}</p>"
    )


def _changed(before: np.ndarray, now: np.ndarray, names: tuple[str, ...], cut: set[int]) -> str:
    if not cut:
        return "<p class='unet-changed' aria-live='polite'><b>All skips are connected.</b></p>"
    lost = []
    for c, name in enumerate(names):
        there = int((before == c).sum())
        if there > 0.001 * before.size:
            lost.append((1 - int(((before == c) & (now == c)).sum()) / there, name))
    worst = ", ".join(
        f"{escape(name)} ({100 * share:.0f} %)" for share, name in sorted(lost, reverse=True)[:4]
    )
    changed = 100 * float((before != now).mean())
    text = (
        f"Without {'the skip' if len(cut) == 1 else 'the skips'} of "
        f"{', '.join(f'1/{s}' for s in sorted(cut))}"
    )
    return (
        f"<p class='unet-changed' aria-live='polite'><b>{text}, {changed:.1f} % of the pixels "
        f"change their class.</b> Most is lost of {worst}.</p>"
    )


def _image(rgb: np.ndarray, title: str, kind: str = "") -> str:
    """A figure of class `kind`: uint8 (H, W, 3), at most VIEW_SIDE px."""
    import cv2

    scale = min(1.0, VIEW_SIDE / max(rgb.shape[:2]))
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    method = cv2.INTER_AREA if kind else cv2.INTER_NEAREST  # no class is a mean of others
    buffer = cv2.imencode(".png", cv2.resize(rgb, size, interpolation=method)[..., ::-1])[1]
    return (
        f"<figure class='{kind}'><img src='{data_url(buffer.tobytes())}' "
        f"alt='{title}'><figcaption>{title}</figcaption></figure>"
    )


def _change_map(before: np.ndarray, now: np.ndarray) -> str:
    """Changed pixels in the colour of "against", on grey."""
    changed = before != now
    rgb = np.where(changed[..., None], CHANGED_RGB, SAME_RGB).astype(np.uint8)
    return _image(rgb, f"changed pixels, {100 * float(changed.mean()):.1f} %", "changed")


def _map(maps: dict[str, np.ndarray], name: str, kind: str = "") -> str:
    m = maps[name]
    c, high, wide = m.shape
    n = min(CHANNELS, c)
    title = f"{name}: {c} maps of {wide} x {high}" + (f", {n} of them" if n < c else "")
    source = jpeg_url(montage(m), 85)
    figcaption = f"<figcaption>{title}</figcaption>"
    return (
        f"<figure class='{kind}'><img src='{source}' alt='Feature maps, "
        f"{title}'>{figcaption}</figure>"
    )


def montage(m: np.ndarray) -> np.ndarray:
    """The channels that differ most over the image, each from its darkest to its brightest;
    uint8 (H, W, 3).
    """
    import cv2

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


def skip_scales(name: str) -> list[str]:
    """The skips that can be cut: SCALES of the networks, whose import needs torch."""
    return [f"1/{s}" for s in ((1, 2, 4, 8) if name == "segmentation_unet" else (2, 4, 8, 16))]


def build_inside(image: gr.State) -> None:
    gr.HTML(LEAD)
    offered = models.segmenter_choices()
    with gr.Row():
        model = gr.Dropdown(
            offered,
            value=offered[0][1],
            label="Network",
            filterable=False,
            min_width=280,
            elem_id="inside-model",
        )
        cut = gr.CheckboxGroup(
            skip_scales(offered[0][1]),
            value=[],
            label="Cut the skips of scale",
            min_width=280,
            elem_id="inside-cut",
        )
    (shown,) = recordings.outputs("segment-inside", 1)
    drawn = gr.HTML(
        shown or HINT,
        css_template=load(Path(__file__).parent, "inside").css,
        js_on_load=CUT_BY_CLICK,
        elem_id="inside-figure",
    )
    model.change(
        lambda name: gr.update(choices=skip_scales(name), value=[]),
        model,
        cut,
        show_progress="hidden",
        api_visibility="private",
    )
    gr.on(
        [image.change, model.change, cut.input],
        report_errors(look_inside),
        [image, model, cut],
        drawn,
        trigger_mode="always_last",
        show_progress="minimal",
        api_visibility="private",
    )
