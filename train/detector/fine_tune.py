"""Fine-tune any YOLO on any data set in YOLO's format, by ultralytics' own trainer.

python -m train.detector --init yolo11n.pt --data-yaml data.yaml --epochs 10
"""

import contextlib
import os
from pathlib import Path
from typing import Any


class FineTuneError(ValueError):
    """The weights or the data set cannot be used; the text is one sentence for the user."""


def fine_tune(
    init: str,
    data_yaml: Path,
    runs: Path,
    epochs: int = 10,
    imgsz: int = 640,
    seed: int = 0,
    batch: int = 16,
    fraction: float = 1.0,
    lr: float | None = None,
) -> Path:
    """Train `init` and return the best checkpoint, below `runs/<name of init>-<name of data>/`.

    Args:
        init: weights (`.pt`), an architecture (`.yaml`: random weights), or a name that ultralytics
            downloads.
        data_yaml: train, val and names as ultralytics defines them; a relative `path` is taken from
            the file's folder.
        imgsz: px, a multiple of 32.
        batch: images a step; ultralytics warms up for at least 100 steps, which few images in large
            batches never leave.
        fraction: share of the training images that is used.
        lr: peak learning rate of AdamW; None: ultralytics' choice, which suits weights that know
            the objects already.

    Raises:
        FineTuneError: the weights cannot be had; the data set's file is missing, broken or names
            folders without images.
    """
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    from ultralytics.utils import YAML

    found = read_data_yaml(data_yaml)
    model = load(init)
    out = runs.resolve() / f"{Path(init).stem}-{data_yaml.resolve().parent.name}"
    out.mkdir(parents=True, exist_ok=True)
    # with absolute paths: ultralytics would look in the folder that it is started from
    absolute = out / "data.yaml"
    YAML.save(absolute, found)
    optimizer: dict[str, Any] = {} if lr is None else {"optimizer": "AdamW", "lr0": lr}
    try:
        model.train(
            data=str(absolute),
            epochs=epochs,
            imgsz=imgsz,
            seed=seed,
            batch=batch,
            nbs=batch,  # a step each batch; the default sums the gradients of 64 images first
            fraction=fraction,
            plots=False,
            project=str(runs.resolve()),
            name=out.name,
            exist_ok=True,
            workers=0,
            verbose=False,
            **optimizer,
        )
    except (FileNotFoundError, RuntimeError, SyntaxError, ValueError) as error:
        raise FineTuneError(f"Training on {data_yaml} failed: {_first_line(error)}") from error
    best = out / "weights" / "best.pt"
    return best if best.is_file() else out / "weights" / "last.pt"


def load(init: str) -> Any:
    """An `ultralytics.YOLO`. Raises FineTuneError."""
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    from ultralytics import YOLO
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES

    path = Path(init)
    if path.suffix not in (".pt", ".yaml", ".yml"):
        raise FineTuneError(
            f"--init {init} is neither weights (.pt) nor an architecture (.yaml) of YOLO."
        )
    known = path.name == init and init in GITHUB_ASSETS_NAMES
    if path.suffix == ".pt" and not path.is_file() and not known:
        raise FineTuneError(
            f"--init {init} is not there, and it is no name that ultralytics knows, such as "
            "yolo11n.pt; give the path of a file."
        )
    if path.suffix == ".pt" and not path.is_file() and not _has_network():
        raise FineTuneError(
            f"--init {init} is not there and cannot be downloaded without a network; give the path "
            f"of a file, or {path.stem}.yaml to start from random weights."
        )
    try:
        return YOLO(init, task="detect")
    # ultralytics raises whatever went wrong inside: OSError, TypeError, pickle's own
    except Exception as error:
        raise FineTuneError(f"--init {init} cannot be used: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def _has_network(host: str = "github.com") -> bool:
    import socket

    with contextlib.suppress(OSError), socket.create_connection((host, 443), timeout=5):
        return True
    return False


def read_data_yaml(file: Path) -> dict[str, Any]:
    """train, val and names of a data set, folders absolute. Raises FineTuneError."""
    import yaml

    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FineTuneError(f"--data-yaml {file} is not there.") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise FineTuneError(
            f"--data-yaml {file} cannot be read as YAML: {str(error).splitlines()[0]}"
        ) from error
    missing = [
        key
        for key in ("train", "val", "names")
        if not isinstance(found, dict) or not found.get(key)
    ]
    if missing:
        raise FineTuneError(
            f"--data-yaml {file} lacks {', '.join(missing)}: it must name train, val and names."
        )
    root = file.resolve().parent / str(found.get("path") or ".")
    resolved: dict[str, Any] = {"path": str(root.resolve()), "names": found["names"]}
    for key in ("train", "val"):
        parts = found[key] if isinstance(found[key], list) else [found[key]]
        absolute = [str((root / str(part)).resolve()) for part in parts]
        for part in absolute:
            if not Path(part).exists():
                raise FineTuneError(
                    f"--data-yaml {file} names {part} for {key}, which is not there."
                )
        resolved[key] = absolute if isinstance(found[key], list) else absolute[0]
    return resolved
