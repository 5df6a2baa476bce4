"""The page's theme: light and dark, one accent colour, system fonts, nothing fetched."""

from pathlib import Path

import gradio as gr

SANS = ("Inter", "ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "SF Mono", "Cascadia Mono", "Menlo", "Consolas", "monospace")

TEAL = gr.themes.Color(
    c50="#effaf8", c100="#d5f1ec", c200="#aee3da", c300="#7bcdc1", c400="#48b0a3", c500="#21857b",
    c600="#12756c", c700="#115e58", c800="#124b47", c900="#133f3c", c950="#062524", name="teal",
)  # fmt: skip
PAPER = gr.themes.Color(
    c50="#fbfaf7", c100="#f4f2ec", c200="#e7e3d9", c300="#d3cdbf", c400="#a8a294", c500="#7b766b",
    c600="#5c5850", c700="#45423c", c800="#2b2926", c900="#1d1c1a", c950="#131211", name="paper",
)  # fmt: skip

THEME = gr.themes.Base(
    primary_hue=TEAL,
    secondary_hue=TEAL,
    neutral_hue=PAPER,
    radius_size=gr.themes.sizes.radius_md,
    font=SANS,
    font_mono=MONO,
).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="#15171a",
    body_text_color="*neutral_900",
    body_text_color_dark="#e8e6e1",
    body_text_color_subdued="#635e54",
    body_text_color_subdued_dark="#a7a49c",
    background_fill_primary="white",
    background_fill_primary_dark="#1c1f23",
    background_fill_secondary="*neutral_100",
    background_fill_secondary_dark="#22262b",
    block_background_fill="white",
    block_background_fill_dark="#1c1f23",
    block_border_width="1px",
    block_border_color="*neutral_200",
    block_border_color_dark="#30353b",
    border_color_primary="*neutral_200",
    border_color_primary_dark="#30353b",
    block_shadow="none",
    block_label_background_fill="*neutral_100",
    block_label_background_fill_dark="#262a30",
    block_label_text_color="*neutral_700",
    block_label_text_color_dark="#c9c6be",
    color_accent="*primary_600",
    link_text_color="*primary_700",
    link_text_color_dark="*primary_300",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_dark="*primary_600",
    button_primary_text_color="white",
    button_secondary_background_fill="*neutral_100",
    button_secondary_background_fill_hover="*neutral_200",
    button_secondary_background_fill_dark="#2a2f35",
    button_secondary_background_fill_hover_dark="#343a41",
    input_background_fill="white",
    input_background_fill_dark="#22262b",
    checkbox_background_color_dark="#15171a",
    checkbox_border_color_dark="#8b9097",  # of a box that is not ticked: 3 : 1 against the button
)

CSS = (Path(__file__).parent / "theme.css").read_text(encoding="utf-8")
SCRIPT_NAMES = ("example_names", "tour", "keys", "loupe", "history", "unplayable", "glossary")


def _script(name: str) -> str:
    """A script element; the glossary gets its terms."""
    script = (Path(__file__).parent / f"{name}.js").read_text(encoding="utf-8")
    if name == "glossary":
        terms = (Path(__file__).parent / "glossary.json").read_text(encoding="utf-8")
        script = script.replace('"TERMS"', terms.strip().replace("<", "\\u003c"), 1)
    return f"<script>{script}</script>"


SCRIPTS = "".join(map(_script, SCRIPT_NAMES))
HEAD = '<meta name="viewport" content="width=device-width, initial-scale=1">' + SCRIPTS
