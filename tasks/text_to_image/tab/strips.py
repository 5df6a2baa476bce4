"""Side by side from one noise: between two prompts, over guidance, in several languages."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from tasks import loaders
from tasks.core.images import ImageError
from tasks.text_to_image.tab import word_maps
from tasks.text_to_image.tab.generate import style_choice
from tasks.ui.fields import parse_seed
from tasks.ui.jobs import JOBS
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.step_player import start_on_click, step_player

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.text_to_image.generator import TextStep, TextToImage

WALK, GUIDANCE, LANGUAGES = "walk", "guidance", "languages"
KINDS = {
    "From the first prompt to the second": WALK,
    "The first prompt, guidance from 1 to 12": GUIDANCE,
    "The first prompt's thing in nine languages": LANGUAGES,
}
N = 9  # three rows of three
GUIDANCES = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 9.0, 12.0)
SPOKEN = ("en", "de", "fr", "es", "pt", "pl", "ru", "zh", "ja")
STEPS = 20
LEAD = lead(
    "Nine images from the same noise: what changes is all that you change.",
    "Between two prompts the attention of the words is faded over. Guidance moves away from what "
    "the network draws without words. Names in other languages lead to the same concept.",
    flow("noise:one noise", "net:U-Net", "+bars:words, faded over", "image:nine images"),
)


def named_in_languages(model: "TextToImage", prompt: str, style: str) -> list[str]:
    """The name of the prompt's first thing in each of SPOKEN. Raises ImageError."""
    from tasks.text_to_image.concepts import N_FIXED

    words = model.read(prompt, style).words
    thing = next((word.meant[0] for word in words if word.meant[0] >= N_FIXED), None)
    if thing is None:
        raise ImageError("Name a thing that the model knows, as “fox” or “guitar”.")
    return [model.vocabulary.label(thing - N_FIXED, code) for code in SPOKEN]


def begin_strip(kind: Any, first: Any, second: Any, seed: Any, style: Any) -> dict[str, Any]:
    """Queue a job for the player."""
    from tasks.text_to_image.generator import check_settings

    if kind not in KINDS.values():
        raise ImageError(f"{', '.join(KINDS.values())} can be shown; {str(kind)[:20]!r} came.")
    model, start = loaders.text_to_image(), parse_seed(seed)
    check_settings(N, start, STEPS, 1.0)
    for prompt in (first, second):
        model.read(prompt, style)
    how: dict[str, Any] = {"n_steps": STEPS, "style": style}
    steps: Iterator[TextStep]
    if kind == WALK:
        steps = model.walk(first, second, N, start, **how)
        captions = [f"{100 * k // (N - 1)} % of the way" for k in range(N)]
    elif kind == GUIDANCE:
        steps = model.steps(first, N, start, guidance=GUIDANCES, same_noise=True, **how)
        captions = [f"guidance {value:g}" for value in GUIDANCES]
    else:
        captions = named_in_languages(model, first, style)
        steps = model.steps(captions, N, start, same_noise=True, **how)
    about = {
        "name": f"text-{kind}-seed{start}",
        "model": model.card.name,
        "kind": kind,
        "first": first,
        "second": second,
        "seed": start,
        **how,
    }
    note = word_maps.rows_html(captions)
    return JOBS.start(word_maps.frames(steps, note=note), STEPS, about)


def build_strips() -> None:
    gr.HTML(LEAD)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=260):
            kind = gr.Dropdown(
                list(KINDS.items()), value=WALK, label="What changes", filterable=False
            )
            first = gr.Textbox("a fox", label="First prompt", max_lines=2)
            second = gr.Textbox("a cat on yellow", label="Second prompt", max_lines=2)
            go = gr.Button("Draw nine", variant="primary", elem_id="strips-go")
            with gr.Row():
                style = style_choice("strips-style")
                seed = gr.Number(0, label="Seed (empty: any)", precision=0, min_width=90)
        with gr.Column(scale=5, min_width=300, elem_classes="lab-result"):
            player = step_player(
                word_maps.PANELS,
                "strips-player",
                "Press Draw nine: one noise, nine images.",
                picked=1,
            )
    names = ["kind", "first", "second", "seed", "style"]
    start_on_click(player, go, begin_strip, [kind, first, second, seed, style], names)
