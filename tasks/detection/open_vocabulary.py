"""Open vocabulary: YOLO-World finds what is typed, by CLIP's embeddings of the words.

Cheng et al. 2024, YOLO-World (arXiv 2401.17270): Ultralytics' network and weights. Radford et al.
2021, CLIP (arXiv 2103.00020): OpenAI's ViT-B/32, of which the text encoder is used. Ultralytics
reads words by the package `clip`, which it would install from git; `TextEncoder` computes the same
embeddings with transformers. All files are downloaded on first use and checked by their SHA-256.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tasks.core import device, downloads, model_cache
from tasks.core.model_cache import Kept
from tasks.core.weights import WeightsError
from tasks.detection.checkpoints import import_ultralytics, read_checkpoint
from tasks.detection.engines import Engine, TorchEngine
from tasks.models import OPEN_VOCABULARY_FILES, yolo_cache

TEXT_CONFIG: dict[str, Any] = {}
"""Of CLIP's text encoder, what differs from transformers' defaults, which are those of ViT-B/32."""
START, END = "<|startoftext|>", "<|endoftext|>"
KEPT = 8  # lists of words whose embeddings stay in memory


class WorldEngine(TorchEngine):
    """A YOLO-World; several copies, each with words of its own, share one network."""

    _txt_feats: torch.Tensor | None = None  # of the words, (1, N, 512); None: Ultralytics' own

    def with_words(self, words: tuple[str, ...], txt_feats: torch.Tensor) -> "WorldEngine":
        other = copy.copy(self)
        other.class_names, other._txt_feats = words, txt_feats
        return other

    def prepare(self, height: int, width: int) -> float:
        return 0.0  # copies would warm up again and again

    def _forward(self, x: torch.Tensor) -> Any:  # (1, 3, H, W)
        network: Any = self._network
        network.model[-1].nc = len(self.class_names)  # as WorldModel.set_classes does
        return network(x, txt_feats=self._txt_feats)


class TextEncoder:
    """CLIP's text encoder with its projection."""

    def __init__(self, network: torch.nn.Module, tokenizer: Any):
        self.network = network.eval().requires_grad_(False).to(device.best())
        self.tokenizer = tokenizer
        self.length = int(network.config.max_position_embeddings)  # type: ignore[union-attr, arg-type]

    @classmethod
    def load(cls, weights: Path, tokenizer: Path) -> "TextEncoder":
        """Raises WeightsError."""
        from safetensors import safe_open
        from tokenizers import Tokenizer
        from transformers import CLIPTextConfig, CLIPTextModelWithProjection

        try:
            with safe_open(weights, "pt") as file:
                tensors = {
                    name: file.get_tensor(name).float()
                    for name in file.keys()  # noqa: SIM118  safetensors' files are no mappings
                    if name.startswith(("text_model.", "text_projection."))
                    and not name.endswith("position_ids")  # a buffer that is no longer kept
                }
            with model_cache.BUILDING:
                network = CLIPTextModelWithProjection(CLIPTextConfig(**TEXT_CONFIG))
                network.load_state_dict(tensors, assign=True)
            return cls(network, Tokenizer.from_file(str(tokenizer)))
        except Exception as error:  # the libraries raise SafetensorError, RuntimeError, Exception
            raise WeightsError(
                f"{weights.name} or {tokenizer.name} is damaged or not what this version of "
                "transformers reads. Delete them, and they are downloaded again."
            ) from error

    def tokens(self, words: Sequence[str]) -> torch.Tensor:
        """int64 (N, L): start, the word's tokens, ends; cut to what the encoder reads."""
        start, end = (self.tokenizer.token_to_id(name) for name in (START, END))
        encoded = self.tokenizer.encode_batch(list(words), add_special_tokens=False)
        rows = [[start, *one.ids[: self.length - 2], end] for one in encoded]
        longest = max(map(len, rows))  # attention is causal: what follows the end does not matter
        return torch.tensor([row + [end] * (longest - len(row)) for row in rows])

    @torch.inference_mode()
    def embed(self, words: Sequence[str]) -> torch.Tensor:
        """float32 (1, N, 512) of unit length, as Ultralytics' `WorldModel.get_text_pe`."""
        features = self.network(input_ids=self.tokens(words).to(device.best())).text_embeds
        features = features / features.norm(p=2, dim=-1, keepdim=True)  # (N, 512)
        return features[None]


class OpenVocabulary:
    """YOLO-World with the encoder of its words; `engine` gives what a `Detector` computes with."""

    def __init__(self, world: WorldEngine, encoder: TextEncoder):
        self._world, self.encoder = world, encoder
        self._embedded: Kept[torch.Tensor] = Kept(KEPT)

    @classmethod
    def load(cls, progress: downloads.Progress | None = None) -> "OpenVocabulary":
        """Raises WeightsError: download impossible, a file damaged."""
        files = fetch_files(progress)
        import_ultralytics()
        from ultralytics.nn.tasks import WorldModel

        network = read_checkpoint(files["detector"])
        if not isinstance(network, WorldModel):
            raise WeightsError(f"{files['detector'].name} holds no YOLO-World. Download it again.")
        encoder = TextEncoder.load(files["text_encoder"], files["tokenizer"])
        return cls(WorldEngine(network), encoder)

    def engine(self, words: tuple[str, ...]) -> Engine:
        """What finds these words, as `parse_words` gives them, and no others."""
        txt_feats = self._embedded.get(words, lambda: self.encoder.embed(words))
        return self._world.with_words(words, txt_feats)


def fetch_files(progress: downloads.Progress | None = None) -> dict[str, Path]:
    """OPEN_VOCABULARY_FILES, downloaded where they are not here or damaged. Raises WeightsError."""
    total = sum(file.bytes for file in OPEN_VOCABULARY_FILES.values())
    done, paths = 0, dict[str, Path]()

    def report(got: int, _: int | None) -> None:
        if progress is not None:
            progress(done + got, total)

    for key, file in OPEN_VOCABULARY_FILES.items():
        try:
            paths[key] = downloads.fetch(file.url, report, yolo_cache(), file.name)
        except downloads.DownloadError as error:
            raise WeightsError(
                f"YOLO-World or CLIP, its reader of words, is not here yet and could not be "
                f"downloaded: {error}. The bundled detector works without."
            ) from error
        done += file.bytes
    return paths
