"""The first tab: what can be done where, in one line each."""

import gradio as gr

TITLE = "Start"

LINES = (
    ("Classification · Digits", "Draw a digit; a network trained on MNIST reads it while you draw, and shows why."),
    (
        "Classification · Photos",
        "Give it a photo; see what it is taken for, where the network looked, what pretraining gains.",
    ),
    ("About", "Every model with what it was trained on, what it scores and the command that trains it again."),
)


def build_tab() -> None:
    items = "".join(f"<li><b>{name}</b><span>{line}</span></li>" for name, line in LINES)
    gr.HTML(
        html_template=(
            f"<ul class='lines'>{items}</ul><p class='note'>Everything runs on this machine's own processor. Pictures "
            "are not kept: what you send is deleted within two hours and never logged.</p>"
        ),
        css_template=(
            ".lines { list-style: none; padding: 0; margin: .5rem 0; display: grid; gap: .6rem; }"
            "li { display: grid; grid-template-columns: minmax(11rem, 15rem) 1fr; gap: .2rem 1rem; padding: .8rem 1rem;"
            " border: 1px solid var(--border-color-primary); border-radius: 8px;"
            " background: var(--background-fill-primary); }"
            "b { color: var(--lab-accent); } .note { color: var(--body-text-color-subdued); font-size: .9rem; }"
            "@media (max-width: 640px) { li { grid-template-columns: 1fr; } }"
        ),
    )
