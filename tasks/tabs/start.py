"""The first tab: what can be done where, in one line each; a click leads there."""

import gradio as gr

TITLE = "Start"

LINES = (
    (
        "Classification/Digits",
        "Draw a digit; a network trained on MNIST reads it while you draw, and shows why.",
    ),
    (
        "Classification/Photos",
        "Give it a photo; see what it is taken for, and where the network looked.",
    ),
    (
        "Detection/Camera",
        "Find, count and follow objects in your webcam's picture, live.",
    ),
    (
        "Detection/Pictures",
        "The same on photos, one or many, and on video files in the tab beside it.",
    ),
    (
        "Segmentation",
        "Give every pixel of a street its class; see what each scale of a U-Net adds, and cut its skips.",
    ),
    (
        "Denoising",
        "Take noise out of a photo, enlarge it, undo JPEG; see beside it what other methods make of it.",
    ),
    (
        "GAN",
        "Walk through the space of digits that a generator makes up, and try to fool its discriminator.",
    ),
    (
        "Diffusion/Generate",
        "Watch digits and small photos appear out of noise, step by step; scrub back and forth, fill holes, enlarge.",
    ),
    (
        "Compare",
        "The same digits by GAN, VAE and diffusion side by side, with what each costs and how good it is.",
    ),
    (
        "About",
        "Every model with what it was trained on, what it scores and the command that trains it again.",
    ),
)
"""(names of the tabs on the way, what is there)"""

CSS = """
.lines { display: grid; gap: .6rem; margin: .5rem 0; }
button { display: grid; grid-template-columns: minmax(11rem, 15rem) 1fr; gap: .2rem 1rem; padding: .8rem 1rem;
  margin: 0; font: inherit; color: inherit; text-align: left; cursor: pointer;
  border: 1px solid var(--border-color-primary);
  border-radius: 8px; background: var(--background-fill-primary); }
button:hover { border-color: var(--lab-accent); }
button:focus-visible { outline: 2px solid var(--lab-accent); outline-offset: 2px; }
b { color: var(--lab-accent); }
.note { color: var(--body-text-color-subdued); font-size: .9rem; }
@media (max-width: 640px) { button { grid-template-columns: 1fr; } }
"""

JS = """
const called = (selector, name) => [...document.querySelectorAll(selector)].find((t) => t.textContent.trim() === name);
const more = () => document.querySelector('#tabs button[aria-label="More tabs"], #tabs .overflow-menu > button');
function tab(name) { // on a phone some tabs are in a menu, which must be open to be clicked
  const found = called('button[role=tab]', name) || called('.overflow-dropdown button', name);
  if (!found && more()) more().click();
  return found;
}
element.querySelectorAll('button').forEach((line) => line.addEventListener('click', async () => {
  for (const name of line.dataset.way.split('/'))
    for (let wait = 0; wait < 60; wait++) { // an inner tab is there a moment after the outer one was opened
      const found = tab(name);
      if (found) { found.click(); break; }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
}));
"""


def build_tab() -> None:
    items = "".join(
        f"<button type='button' data-way='{way}'><b>{way.replace('/', ' · ')}</b><span>{line}</span></button>"
        for way, line in LINES
    )
    gr.HTML(
        html_template=(
            f"<div class='lines'>{items}</div><p class='note'>Everything is computed where this app runs. Pictures "
            "are not kept: what you send is deleted within two hours and never logged.</p>"
        ),
        css_template=CSS,
        js_on_load=JS,
        elem_id="start-lines",
    )
