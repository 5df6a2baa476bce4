"""A YOLO-World and a text encoder of CLIP's with random weights, for the tests of open vocabulary.

As a script's first lines before the app starts: `tiny_world.offer(folder)`.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch

from tasks import models
from tasks.detection import open_vocabulary
from tests.text_to_image.tiny_pipeline import tokenizer

NOWHERE = "http://127.0.0.1:9"
PARTS = {"detector": "world.pt", "text_encoder": "clip.safetensors", "tokenizer": "clip.json"}
CONFIG = {
    "vocab_size": 56,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 16,
    "bos_token_id": 54,
    "eos_token_id": 55,
}


def write(folder: Path) -> None:
    """The three files, as they are to be downloaded; the detector finds words everywhere."""
    from safetensors.torch import save_file
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection
    from ultralytics import YOLOWorld

    torch.manual_seed(0)
    world: Any = YOLOWorld("yolov8n-worldv2.yaml")
    for head in world.model.model[-1].cv4:  # random heads are sure that nothing is anywhere
        torch.nn.init.zeros_(head.bias)
        torch.nn.init.ones_(head.logit_scale)
    world.save(str(folder / PARTS["detector"]))
    words = tokenizer(folder / "words")
    assert len(words) == CONFIG["vocab_size"] and words.eos_token_id == CONFIG["eos_token_id"]
    words.backend_tokenizer.save(str(folder / PARTS["tokenizer"]))
    config = CLIPTextConfig(**CONFIG)  # type: ignore[arg-type]
    tensors = CLIPTextModelWithProjection(config).state_dict()
    for name, tensor in tensors.items():  # fresh biases are zero, fresh words all but alike
        tensors[name] = tensor + 0.3 * torch.randn_like(tensor)
    beside = {  # what the real file has besides
        "text_model.embeddings.position_ids": torch.arange(16)[None],
        "vision_model.post_layernorm.bias": torch.zeros(3),
        "logit_scale": torch.tensor(1.0),
    }
    save_file(tensors | beside, folder / PARTS["text_encoder"])


def catalogue(folder: Path, url: str = NOWHERE) -> dict[str, models.CheckedFile]:
    """What stands for `models.OPEN_VOCABULARY_FILES`: the files of `write`, to be had at `url`."""
    made = {}
    for part, name in PARTS.items():
        blob, (stem, ending) = (folder / name).read_bytes(), name.split(".")
        digest = hashlib.sha256(blob).hexdigest()[:16]
        made[part] = models.CheckedFile(f"{url}/{name}", f"{stem}-{digest}.{ending}", len(blob))
    return made


def offer(folder: Path, url: str = NOWHERE) -> None:
    """Let this process take the files of `write` for those of YOLO-World and CLIP."""
    models.OPEN_VOCABULARY_FILES.update(catalogue(folder, url))
    open_vocabulary.TEXT_CONFIG.update(CONFIG)


def put_into_cache(folder: Path) -> None:
    """The files, where a download would put them."""
    for part, file in catalogue(folder).items():
        target = models.yolo_cache() / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((folder / PARTS[part]).read_bytes())


def reference(encoder: "open_vocabulary.TextEncoder", padded_to: int) -> Any:
    """OpenAI's package `clip`, as far as Ultralytics uses it, on another encoder's network."""

    class Clip:
        @staticmethod
        def load(size: str, **_: object) -> tuple[torch.nn.Module, None]:
            assert size == "ViT-B/32"
            return Network(), None

        @staticmethod
        def tokenize(texts: list[str], truncate: bool) -> torch.Tensor:
            """As clip/clip.py: zeros behind the end, the end last where the text is too long."""
            words, out = encoder.tokenizer, torch.zeros(len(texts), padded_to, dtype=torch.int)
            start, end = words.token_to_id(open_vocabulary.START), words.get_vocab_size() - 1
            for row, text in zip(out, texts, strict=True):
                ids = [start, *words.encode(text, add_special_tokens=False).ids, end]
                if len(ids) > padded_to:
                    assert truncate
                    ids = [*ids[: padded_to - 1], end]
                row[: len(ids)] = torch.tensor(ids)
            return out

    class Network(torch.nn.Module):
        def encode_text(self, text: torch.Tensor) -> torch.Tensor:
            """As clip/model.py: the features at the end, which has the highest id, projected."""
            network: Any = encoder.network
            x = network.text_model(input_ids=text.long()).last_hidden_state  # (N, L, width)
            at_end = x[torch.arange(len(x)), text.argmax(dim=-1)]
            projected: torch.Tensor = at_end @ network.text_projection.weight.T
            return projected

    return Clip
