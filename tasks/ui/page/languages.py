"""Tabs, buttons and first lines in the visitor's language, by gradio's i18n: the browser chooses.

languages.json has each English text in the languages of LANGUAGES; a text that is not in it stays
English. Sentences of results, explanations and errors are English everywhere.
"""

import json
import re
from pathlib import Path

import gradio as gr

LANGUAGES = ("de", "fr", "es", "zh-CN")
TEXTS: dict[str, list[str]] = json.loads(
    Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
)
KEYS = {english: f"lab.{k}" for k, english in enumerate(TEXTS)}
HOW = "How it works"
MISSING = {"common.complete": "Done"}
"""Keys that gradio's page tells screen readers, but has no text for (6.31) -> what they hear."""
BETWEEN = "</p><details><summary>"  # a lead and what folds out
LEAD = re.compile(rf"<div class='lab-intro'><p>(.*?)({BETWEEN}{HOW}|</p>)")


def translate(app: gr.Blocks) -> gr.I18n:
    """Replace the texts of a page that was built by marks; what launch() takes for them."""
    for block in app.blocks.values():
        if isinstance(block, gr.Tab):
            block.label = _mark(str(block.label))  # type: ignore[assignment]
        elif isinstance(block, gr.Button) and isinstance(block.value, str):
            block.value = _mark(block.value)  # type: ignore[assignment]
        elif isinstance(block, gr.HTML) and isinstance(block.value, str):
            block.value = LEAD.sub(_mark_lead, block.value, count=1)
    languages = {language: _texts(k) for k, language in enumerate(LANGUAGES)}
    return gr.I18n(en=_texts(None), **languages)


def _texts(language: int | None) -> dict[str, str]:
    """Key -> text, with a second key for a lead that has more to fold out: gradio's page replaces
    one mark of a value only."""
    found: dict[str, str] = {}
    for english, translated in TEXTS.items():
        text = english if language is None else translated[language]
        how = HOW if language is None else TEXTS[HOW][language]
        key = KEYS[english]
        found |= {key: text, f"{key}.how": f"{text}{BETWEEN}{how}"}
    found |= {gradios: found[KEYS[english]] for gradios, english in MISSING.items()}
    return found


def _mark(english: str) -> object:
    return gr.I18n()(KEYS[english]) if english in KEYS else english


def _mark_lead(found: re.Match[str]) -> str:
    lead, end = found.groups()
    if lead not in KEYS:
        return found[0]
    has_more = end.startswith(BETWEEN)
    mark = gr.I18n()(f"{KEYS[lead]}.how" if has_more else KEYS[lead])
    return f"<div class='lab-intro'><p>{mark}{'' if has_more else end}"
