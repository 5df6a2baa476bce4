"""Are made digits copies? How far the nearest training digit is, and made digits beside theirs.

Reads what `train/neighbours.py` measured, under "neighbours" in benchmarks/results/generators.json.
"""

import base64
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import gradio as gr
import numpy as np

from tasks import compute
from tasks.images import ImageError, png_bytes
from tasks.tabs import generators, models
from tasks.tabs.errors import answering

KINDS = {"GAN": "--lab-second", "VAE": "--lab-third", "Diffusion": "--lab-accent"}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 620, 240, 12, 12, 20, 36
STYLE = (
    "<style>.lab-table.lab-pairs td{padding:.25rem .35rem;text-align:center;font-size:.8rem;"
    "font-variant-numeric:tabular-nums}"
    ".lab-pairs img{width:44px;min-width:44px;height:44px;image-rendering:pixelated;display:block;margin:0 auto .1rem;"
    "border-radius:4px}"
    ".lab-pairs .near{color:var(--lab-second);font-weight:600}.lab-pairs th{white-space:nowrap;vertical-align:middle}"
    ".lab-curve .yard{fill:var(--body-text-color-subdued);opacity:.22;stroke:none}</style>"
)


def histograms(near: Mapping[str, Any]) -> str:
    """SVG: shares of digits over the distance to the nearest training digit; real test digits as a grey area."""
    edges, counts = near["edges"], near["counts"]
    shares = {kind: np.array(n, float) / max(1, sum(n)) for kind, n in counts.items()}
    top = max(float(s.max()) for s in shares.values()) or 1.0

    def x(distance: float) -> float:
        return LEFT + distance / edges[-1] * (WIDTH - LEFT - RIGHT)

    def steps(share: np.ndarray) -> str:
        heights = [HEIGHT - BOTTOM - s / top * (HEIGHT - TOP - BOTTOM) for s in share.tolist()]
        corners = [(x(e), y) for y, ends in zip(heights, pairwise(edges), strict=True) for e in ends]
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)

    floor = HEIGHT - BOTTOM
    drawn = f"<polygon class='yard' points='{x(0):.1f},{floor} {steps(shares['test'])} {x(edges[-1]):.1f},{floor}'/>"
    for kind, colour in KINDS.items():
        if kind in shares:
            drawn += f"<polyline style='stroke:var({colour})' points='{steps(shares[kind])}'/>"
    copy = x(near["usual"] / 10)
    drawn += (
        f"<line class='grid' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{floor}' y2='{floor}'/>"
        f"<line class='grid' x1='{copy:.1f}' x2='{copy:.1f}' y1='{TOP}' y2='{floor}'/>"
        f"<text x='{copy + 4:.1f}' y='{TOP + 10}'>copies lie left of this line</text>"
    )
    for value in _ticks(edges[-1]):
        drawn += f"<text x='{x(value):.1f}' y='{floor + 15}' text-anchor='middle'>{value:g}</text>"
    return (
        f"<svg class='lab-curve' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='Histograms of the distance to "
        f"the nearest training digit'>{drawn}<text x='{WIDTH / 2}' y='{HEIGHT - 5}' text-anchor='middle'>distance to "
        "the nearest of 60,000 training digits, in the recogniser’s features</text></svg>"
    )


def legend(near: Mapping[str, Any]) -> str:
    """Whose histogram is which, with its median."""
    medians = near["medians"]
    swatch = "<i style='display:inline-block;width:.8rem;height:.8rem;border-radius:3px;margin-right:.35rem;{}'></i>"
    grey = swatch.format("background:var(--body-text-color-subdued);opacity:.4")
    items = [f"<span>{grey}test digits that people wrote, median {medians['test']:.1f}</span>"]
    items += [
        f"<span>{swatch.format(f'background:var({colour})')}{kind}, median {medians[kind]:.1f}</span>"
        for kind, colour in KINDS.items()
        if kind in medians
    ]
    return (
        f"<p class='lab-lead' style='display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;max-width:none'>{''.join(items)}</p>"
    )


def pairs(near: Mapping[str, Any]) -> str:
    """The measured digits, made again, each beside its nearest training digit, as HTML. Raises WeightsError."""
    from tasks.training_digits import training_digits

    rows, missing, made_by = "", False, "a {} made by {}"
    for kind, samples in near["samples"].items():
        with compute.HEAVY:
            made = make_again(kind, [s["class"] for s in samples], near["seed"], near["steps"])
        theirs = training_digits([s["index"] for s in samples])
        missing = missing or theirs is None
        rows += f"<tr><th>{kind}</th>"
        for k, sample in enumerate(samples):
            rows += f"<td>{picture(made[k], made_by.format(sample['class'], kind))}"
            if theirs is not None:
                rows += picture(theirs[k], f"its nearest training digit, number {sample['index']}")
            rows += f"<span{_near(sample['distance'], near['usual'])}>{sample['distance']:.1f}</span></td>"
        rows += "</tr>"
    told = (
        "MNIST is not on this machine, so the training digits cannot be shown; with IMAGE_LAB_DATA set to the folder "
        "that holds MNIST/raw they stand below the made ones. The distances were measured with them."
        if missing
        else "Above the made digit, below it the training digit that is nearest to it, and how far it is."
    )
    return (
        f"<div class='lab-scroll' tabindex='0'><table class='lab-table lab-pairs'><tbody>{rows}</tbody></table></div>"
        f"<p class='lab-lead'>{told} A test digit’s nearest is usually {near['usual']:.1f} away; a copy would be less "
        f"than {near['usual'] / 10:.1f} away.</p>"
    )


def make_again(kind: str, labels: Sequence[int], seed: int, steps: int) -> np.ndarray:
    """uint8 (n, 28, 28): what `train.evaluate` made first. Raises WeightsError, ImageError."""
    asked = list(labels)
    if kind == "GAN":
        return generators.gan().generate(len(asked), seed, asked)
    if kind == "VAE":
        return generators.vae().generate(len(asked), seed, asked)
    if kind == "Diffusion":
        from tasks.diffusion import to_uint8

        *_, last = models.diffusion_generator("mnist").steps(len(asked), seed, asked, n_steps=steps)
        return to_uint8(last.x_t)
    raise ImageError(f"GAN, VAE or Diffusion make digits; {kind[:20]!r} came.")


def picture(digit: np.ndarray, alt: str) -> str:
    return f"<img alt='{alt}' src='data:image/png;base64,{base64.b64encode(png_bytes(digit)).decode()}'>"


def build_neighbours(places: Mapping[str, Any]) -> None:
    """Nothing where it was not measured yet."""
    near = places.get("neighbours")
    if not near:
        return
    with gr.Accordion("Copied or made? The nearest training digit", open=True):
        n = " / ".join(f"{sum(near['counts'][kind]):,}" for kind in near["counts"])
        gr.HTML(
            f"{STYLE}<div class='lab-scroll' tabindex='0'>"
            f"{histograms(near)}</div>{legend(near)}<p class='lab-lead'>Shares of "
            f"digits, n = {n}. Where a curve lies over the grey, its digits are as near to the training digits as new "
            "ones of people are: neither copied nor strange.</p>"
        )
        go = gr.Button("Show ten made digits and their nearest", elem_id="neighbours-go")
        shown = gr.HTML(elem_id="neighbours")
    go.click(answering(lambda: pairs(near)), None, shown, api_visibility="private", concurrency_id="heavy",
             show_progress="minimal")  # fmt: skip


def _near(distance: float, usual: float) -> str:
    return " class='near'" if distance < usual / 10 else ""


def _ticks(end: float) -> list[float]:
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100) if end / s <= 12 or s == 100)
    return [step * k for k in range(int(end / step) + 1)]
