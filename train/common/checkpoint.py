"""Checkpoints of a training: written atomically, refused where another recipe wrote them."""

import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

RENAMED = {"sharpness": "sam_rho"}
"""Fields of recipes in checkpoints of earlier versions -> their names now."""


def save(file: Path, state: dict[str, Any]) -> None:
    """Write `state`; a kill in the middle leaves the previous checkpoint intact."""
    temporary = file.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, file)


def load(file: Path, recipe: Any) -> dict[str, Any]:
    """Read what `save` wrote.

    Args:
        recipe: the dataclass that describes the training, a `train.loop.Recipe`.
    Raises:
        ValueError: the checkpoint was written by another recipe.
    """
    saved: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    written = {RENAMED.get(name, name): value for name, value in saved["recipe"].items()}
    # fields that are newer than the checkpoint have their default in it
    defaults = {field.name: field.default for field in fields(recipe)}
    if defaults | written != asdict(recipe):
        raise ValueError(f"{file} was written by the recipe {written}, not {asdict(recipe)}")
    return saved
