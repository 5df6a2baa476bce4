"""All model cards as one table, then each in full."""

from html import escape

import gradio as gr

from tasks import weights
from tasks.tabs import card

TITLE = "About"


def build_tab() -> None:
    cards = weights.all_cards()
    rows = "".join(
        f"<tr><td><b>{escape(c.title)}</b></td><td>{escape(c.task)}</td><td class='num'>{c.parameters:,}</td>"
        f"<td class='num'>{c.bytes / 1e6:.1f} MB</td><td>{escape(c.headline)}</td>"
        f"<td>{escape(str(c.data['name']))}</td><td class='num'>{c.training['minutes']:.0f} min</td></tr>"
        for c in cards
    )
    gr.HTML(
        "<p class='lab-lead'>Every model below was trained by this repository's own scripts, and every figure can be "
        "measured again with the command on its card.</p><div class='lab-scroll' tabindex='0'>"
        "<table class='lab-table'><thead><tr>"
        "<th>model</th><th>task</th><th>parameters</th><th>file</th><th>measured</th><th>data</th><th>training</th></tr>"
        f"</thead><tbody>{rows}</tbody></table></div>"
    )
    for c in cards:
        with gr.Accordion(c.title, open=False):
            gr.HTML(card.card_html(c))
    gr.HTML("<p class='lab-lead'>The code is free software under the GNU Affero General Public License, version 3.</p>")
