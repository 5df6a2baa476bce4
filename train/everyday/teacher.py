"""What a COCO-trained YOLO finds in the training images: labels that VOC does not have.

The teacher is an OpenVINO export of Ultralytics' YOLO11n (AGPL-3.0). Its answers are computed once,
at 640 px, and kept in one JSON file.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

SIZE = 640  # px; images of 320 px are enlarged: small things are found better
LOWEST = 0.15  # confidence from which an answer is kept
AT_ONCE = 4  # images under way


def letterbox(image: np.ndarray, size: int) -> tuple[np.ndarray, float]:
    """uint8 (H, W, 3) -> (size, size, 3) with the image at the top left on grey, and the scale."""
    scale = size / max(image.shape[:2])
    height, width = (round(side * scale) for side in image.shape[:2])
    canvas = np.full((size, size, 3), 114, np.uint8)
    canvas[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return canvas, scale


def answers(files: Sequence[Path], teacher: Path, kept: Path) -> dict[str, list[list[float]]]:
    """File name -> [[class id, left, top, right, bottom, confidence], ...], px of the file."""
    if kept.is_file():
        found: dict[str, list[list[float]]] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    found = _ask(files, teacher)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found), encoding="utf-8")
    return found


def _ask(files: Sequence[Path], teacher: Path) -> dict[str, list[list[float]]]:
    import openvino
    import torch
    from ultralytics.utils.nms import non_max_suppression

    core = openvino.Core()
    compiled = core.compile_model(
        next(teacher.glob("*.xml")), "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"}
    )
    queue = openvino.AsyncInferQueue(compiled, AT_ONCE)
    found: dict[str, list[list[float]]] = {}

    def keep(request: Any, about: tuple[str, float]) -> None:
        name, scale = about
        raw = torch.from_numpy(np.array(request.get_output_tensor(0).data))  # (1, 84, anchors)
        boxes = non_max_suppression(raw, LOWEST, 0.6, max_det=100, max_time_img=10.0)[0].numpy()
        found[name] = [
            [int(box[5]), *np.round(box[:4] / scale, 1).tolist(), round(float(box[4]), 3)]
            for box in boxes
        ]

    queue.set_callback(keep)
    for file in tqdm(files, desc="teacher", mininterval=5):
        image, scale = letterbox(cv2.imread(str(file))[..., ::-1], SIZE)
        x = image.transpose(2, 0, 1)[None].astype(np.float32) / 255
        queue.start_async([x], (file.name, scale))
    queue.wait_all()
    return found
