"""Larger pipelines: a prompt through any text-to-image pipeline of diffusers, step by step."""

from typing import Any

import gradio as gr

from tasks.text_to_image.tab.look_up import download, look_up
from tasks.text_to_image.tab.pipelines import begin, build_player
from tasks.ui.errors import report_errors, report_errors_in_steps
from tasks.ui.page.lead import lead

SUGGESTED = ["stabilityai/sd-turbo", "IDKiro/sdxs-512-0.9", "SimianLuo/LCM_Dreamshaper_v7"]
SIZES = [128, 256, 384, 512, 640, 768]  # px
LEAD = lead(
    "A prompt steers how a network turns noise into an image, step by step.",
    "The network removes noise from a latent, a small image of four or more channels; a decoder "
    "turns the result into an image. These models are not trained here: one is downloaded once "
    "from the Hugging Face Hub, or read from a folder. SD-Turbo takes 1 to 4 steps without "
    "guidance (licence of Stability AI: research, no commercial use); SDXS takes 1 (OpenRAIL++); "
    "LCM Dreamshaper takes 4 with guidance 8 (MIT).",
)
STOPPED = "<p>Stopped. What has arrived is kept; Download continues there.</p>"


def build_pipelines() -> None:
    gr.HTML(LEAD)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=260):
            settings, go = build_settings()
            source = build_source()
        with gr.Column(scale=5, min_width=300, elem_classes="lab-result"):
            player = build_player()
    go.click(
        report_errors(begin),
        [source, *settings],
        player,
        api_visibility="private",
        show_progress="hidden",
    )


def build_settings() -> tuple[list[gr.components.Component], gr.Button]:
    """Prompt, steps, guidance, size and seed; the button, right below the prompt."""
    prompt = gr.Textbox(
        "a red fox in the snow, photograph",
        label="Prompt",
        lines=2,
        max_length=1000,
        elem_id="text-prompt",
    )
    go = gr.Button("Generate", variant="primary", elem_id="text-go")
    with gr.Row():
        n_steps = gr.Number(2, label="Steps", precision=0, min_width=110, elem_id="text-steps")
        guidance = gr.Number(0, label="Guidance", min_width=110, elem_id="text-guidance")
    with gr.Row():
        size = gr.Dropdown(
            SIZES,
            value=512,
            label="Size, px",
            filterable=False,
            min_width=110,
            elem_id="text-size",
        )
        seed = gr.Number(
            0, label="Seed (empty = random)", precision=0, min_width=110, elem_id="text-seed"
        )
    return [prompt, n_steps, guidance, size, seed], go


def build_source() -> gr.Dropdown:
    """The pipeline's name; what it needs; its download."""
    source = gr.Dropdown(
        SUGGESTED,
        value=SUGGESTED[0],
        label="Pipeline",
        allow_custom_value=True,
        elem_id="text-model",
        info="owner/name on the Hugging Face Hub, or a folder (/…, ./… or ~…)",
    )
    look = gr.Button("Look it up", elem_id="text-look")
    facts = gr.HTML(elem_id="text-facts")
    get = gr.Button("Download", visible=False, elem_id="text-get")
    stop = gr.Button("Stop the download", visible=False, elem_id="text-end")

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    hide, show = gr.update(visible=False), gr.update(visible=True)
    enable = gr.update(interactive=True)
    source.change(lambda: ("", hide), None, [facts, get], **quiet)
    look.click(report_errors(look_up), source, [facts, get], api_visibility="private")
    loading = get.click(lambda: show, None, stop, **quiet).then(
        report_errors_in_steps(download),
        source,
        [facts, get],
        **quiet,
    )
    loading.then(lambda: (hide, enable), None, [stop, get], **quiet)
    stop.click(
        lambda: (STOPPED, hide, enable), None, [facts, stop, get], cancels=[loading], **quiet
    )
    return source
