"""Paint over: the visitor's image as the model sees it, changed by a prompt, in part or whole."""

from typing import Any

import gradio as gr
import numpy as np

from tasks import loaders
from tasks.core.images import ImageError
from tasks.text_to_image.tab import word_maps
from tasks.text_to_image.tab.generate import style_choice, suggest_words
from tasks.ui.errors import report_errors
from tasks.ui.fields import parse_seed
from tasks.ui.jobs import JOBS
from tasks.ui.page.figures import flow
from tasks.ui.page.lead import lead
from tasks.ui.step_player import start_on_click, step_player

STEPS, N = 20, 4
LEAD = lead(
    "Your image goes through the latent space; a prompt says what comes back.",
    "The encoder folds 64 x 64 px into a latent of 16 x 16 positions. Noise is added as far as "
    "the strength says, and the network removes it towards the prompt. Outside of what you paint "
    "the latent is set back at every step.",
    flow("image:your image", "net:encoder", "+noise:noise", "net:U-Net", "image:another one"),
)


def central_square(image: Any) -> np.ndarray:
    """uint8 (64, 64, 3), the central square. Raises ImageError."""
    import cv2

    from tasks.core import images
    from tasks.text_to_image.generator import SIDE

    rgb = np.asarray(images.to_rgb(image))
    side = min(rgb.shape[:2])
    top, left = ((length - side) // 2 for length in rgb.shape[:2])
    square = rgb[top : top + side, left : left + side]
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def read_editor(value: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """The image of an editor, and where something was painted on it; None: nowhere.

    Raises ImageError.
    """
    background = value.get("background") if isinstance(value, dict) else None
    if background is None:
        raise ImageError("Choose or drop an image first.")
    alphas = [np.asarray(layer)[..., 3] for layer in value.get("layers") or []]
    painted = np.zeros(np.asarray(background).shape[:2], np.uint8)
    for alpha in alphas:
        painted = np.maximum(painted, alpha)
    opaque = np.asarray(background)[..., :3]
    if not painted.any():
        return central_square(opaque), None
    mask = central_square(np.repeat(painted[..., None], 3, 2))[..., 0] > 40
    return central_square(opaque), mask


def begin_paint(value: Any, prompt: Any, strength: Any, seed: Any, style: Any) -> dict[str, Any]:
    """Queue a job for the player."""
    from tasks.text_to_image.generator import Given, check_settings

    image, mask = read_editor(value)
    if isinstance(strength, bool) or not isinstance(strength, int | float):
        raise ImageError(f"The strength is a number; {str(strength)[:20]!r} came.")
    if not 0.05 <= strength <= 1:
        raise ImageError(f"The strength lies between 0.05 and 1; {strength} came.")
    model, start = loaders.text_to_image(), parse_seed(seed)
    check_settings(N, start, STEPS, 1.0)
    caption = model.read(prompt, style)
    given = Given(image, float(strength), mask)
    settings: dict[str, Any] = {"n": N, "seed": start, "n_steps": STEPS, "style": style}
    note = word_maps.reading_html(caption, model.vocabulary, N)
    steps = model.steps(prompt, given=given, **settings)
    about = {
        "name": f"text-painted-seed{start}",
        "model": model.card.name,
        "prompt": prompt,
        "strength": strength,
        **settings,
    }
    return JOBS.start(word_maps.frames(steps, caption, note), STEPS, about)


def show_latents(value: Any) -> tuple[np.ndarray, str]:
    """What the autoencoder keeps: image, decoded, difference, and four channels of the latent.

    Returns:
        uint8 (H, W, 3), and what it says in words.
    """
    image, _ = read_editor(value)
    model = loaders.text_to_image()
    latents = model.encode(image[None])
    decoded = model.decode(latents)[0]
    error = np.abs(image.astype(np.int16) - decoded)
    mse = float(np.square(image.astype(np.float32) - decoded).mean())
    db = 10 * np.log10(255**2 / max(mse, 1e-3))
    shown = [image, decoded, (4 * error).clip(0, 255).astype(np.uint8)]
    for channel in latents[0].float().cpu().numpy():
        level = ((channel.clip(-3, 3) + 3) * 255 / 6).astype(np.uint8).repeat(4, 0).repeat(4, 1)
        shown.append(np.repeat(level[..., None], 3, 2))
    row = [np.pad(part, ((2, 2), (2, 2), (0, 0)), constant_values=255) for part in shown]
    strip = np.concatenate(row, 1).repeat(3, 0).repeat(3, 1)
    return strip, (
        f"<p>From left: your image at 64 x 64 px, what the latent keeps of it ({db:.1f} dB), the "
        "difference four times as strong, and the latent's four channels of 16 x 16 positions: "
        "12 times fewer numbers. It was trained on drawings; photographs lose more.</p>"
    )


def build_paint() -> None:
    gr.HTML(LEAD)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=260):
            prompt = gr.Textbox(
                "sunglasses",
                label="What should be there",
                info="Paint where it is to change; nothing painted: everywhere",
                max_lines=2,
                elem_id="paint-prompt",
            )
            go = gr.Button("Paint", variant="primary", elem_id="paint-go")
            editor = gr.ImageEditor(
                type="numpy",
                image_mode="RGBA",
                sources=["upload", "clipboard"],
                brush=gr.Brush(colors=["#0d9488"], color_mode="fixed", default_size=40),
                transforms=(),
                layers=False,
                label="Image",
                height=260,
                elem_id="paint-editor",
            )
            strength = gr.Slider(
                0.05, 1, 0.8, step=0.05, label="Strength", info="1 = nothing of it stays"
            )
            with gr.Row():
                style = style_choice("paint-style")
                seed = gr.Number(0, label="Seed (empty: any)", precision=0, min_width=90)
            look = gr.Button("What the latent keeps", elem_id="paint-look")
        with gr.Column(scale=5, min_width=300, elem_classes="lab-result"):
            player = step_player(
                word_maps.PANELS,
                "paint-player",
                "Four ways to change an image.",
                picked=1,
                parts=[word_maps.PART],
                functions=[suggest_words],
            )
            kept = gr.Image(
                label="Through the autoencoder", format="png", visible=False, elem_id="paint-kept"
            )
            said = gr.HTML()
    start_on_click(player, go, begin_paint, [editor, prompt, strength, seed, style])
    look.click(report_errors(show_latents), editor, [kept, said], api_visibility="private").success(
        lambda: gr.update(visible=True), None, kept, api_visibility="private"
    )
