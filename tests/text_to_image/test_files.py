"""Which files a text-to-image pipeline needs, what is refused, and the Hub: a small server on this
machine."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tasks.core.weights import WeightsError
from tasks.text_to_image import files, pipeline
from tasks.text_to_image import hub as pipeline_hub
from tasks.text_to_image.pipeline import HubPipeline
from tests.text_to_image.tiny_pipeline import tiny

REPO = "someone/tiny-pipeline"
SMALL: dict[str, Any] = {"n_steps": 3, "size": 128}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    tiny(folder / "words").save_pretrained(folder / "tiny", safe_serialization=True)
    return folder / "tiny"


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def test_what_a_folder_needs(saved: Path) -> None:
    found = pipeline_hub.look_up(str(saved))
    assert found.folder == saved and found.kind == "StableDiffusionPipeline" and not found.missing
    assert {name.partition("/")[0] for name in found.files} == {
        "model_index.json",
        "scheduler",
        "text_encoder",
        "tokenizer",
        "unet",
        "vae",
    }
    parts = HubPipeline.load(str(saved)).pipe.components.values()
    networks = [part for part in parts if isinstance(part, torch.nn.Module)]
    assert found.parameters == sum(p.numel() for part in networks for p in part.parameters())


def test_of_two_precisions_the_smaller_is_taken(copied: Path) -> None:
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(copied, torch_dtype=torch.float16)
    pipe.save_pretrained(copied, variant="fp16")
    found = pipeline_hub.look_up(str(copied))
    assert found.variant == "fp16"
    weights = [name for name in found.files if name.endswith(".safetensors")]
    assert len(weights) == 3 and all(".fp16." in name for name in weights)
    for file in copied.glob("*/*.safetensors"):
        if ".fp16" not in file.name:
            file.unlink()  # so that they would be missed
    assert HubPipeline.load(str(copied)).generate("a fox", **SMALL).shape == (128, 128, 3)


def test_weights_in_parts_are_taken_of_either_precision(saved: Path, tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(saved)
    for variant in ("fp16", None):
        folder = tmp_path / f"{variant} in parts"
        pipe.save_pretrained(folder, variant=variant, max_shard_size="60KB")
        assert len(list(folder.glob("unet/*-of-*.safetensors"))) > 1
        found = pipeline_hub.look_up(str(folder))
        assert found.variant == variant
        assert found.parameters == pipeline_hub.look_up(str(saved)).parameters
        assert HubPipeline.load(str(folder)).generate("a fox", **SMALL).shape == (128, 128, 3)


def test_a_class_that_transformers_has_renamed_is_loaded(copied: Path) -> None:
    from transformers import CLIPImageProcessor

    CLIPImageProcessor().save_pretrained(copied / "feature_extractor")
    edited(copied, feature_extractor=["transformers", "CLIPFeatureExtractor"])
    pipe = HubPipeline.load(str(copied)).pipe
    assert type(pipe.feature_extractor).__name__.startswith("CLIPImageProcessor")


def pickle_only(folder: Path) -> None:
    for file in folder.glob("*/*.safetensors"):
        file.rename(file.with_suffix(".bin"))


def edited(folder: Path, **changes: Any) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, **changes}))


def one_shard_of_two(folder: Path) -> None:
    file = folder / "unet/diffusion_pytorch_model.safetensors"
    names = [f"diffusion_pytorch_model-0000{k}-of-00002.safetensors" for k in (1, 2)]
    keys = sorted(load_file(file))
    index = {"metadata": {}, "weight_map": {key: names[i % 2] for i, key in enumerate(keys)}}
    file.with_name(f"{file.name}.index.json").write_text(json.dumps(index))
    file.rename(file.with_name(names[0]))


def without_words(folder: Path) -> None:
    for file in (folder / "tokenizer").iterdir():
        if file.name != "tokenizer_config.json":
            file.unlink()


def half_of_the_weights(folder: Path) -> None:
    file = folder / "unet/diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    save_file({name: weights[name] for name in sorted(weights)[::2]}, file)


def two_shards(folder: Path) -> None:
    file = folder / "unet/diffusion_pytorch_model.safetensors"
    for k in (1, 2):
        copy = file.with_name(f"diffusion_pytorch_model-0000{k}-of-00002.safetensors")
        shutil.copy(file, copy)
    file.unlink()


def with_mark(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pickle only": (
        pickle_only,
        r"lacks files of .*model\.bin.*safetensors, as pickles can run code",
    ),
    "no weights": (
        lambda f: (f / "unet/diffusion_pytorch_model.safetensors").unlink(),
        r"lacks files of unet; there is unet/config\.json\.",
    ),
    "no files of a network": (
        lambda f: shutil.rmtree(f / "unet"),
        "lacks files of unet; there is none",
    ),
    "no files of a component": (
        lambda f: shutil.rmtree(f / "scheduler"),
        "lacks files of scheduler; there is none",
    ),
    "one shard of two": (
        one_shard_of_two,
        r"no.* file named .*unet/diffusion_pytorch_model-00002-of-00002\.safetensors",
    ),
    "no index": (lambda f: (f / "model_index.json").unlink(), "readable model_index.json"),
    "an index that is none": (
        lambda f: (f / "model_index.json").write_text("[1"),
        "readable model_index.json",
    ),
    "an index that is a list": (
        lambda f: (f / "model_index.json").write_text("[]"),
        "model_index.json names no class",
    ),
    "a class of its own": (
        lambda f: edited(f, _class_name=["pipeline", "Mine"]),
        "code of its own",
    ),
    "a component of its own": (
        lambda f: edited(f, unet=["os", "system"]),
        "only parts of diffusers",
    ),
    "a component outside": (
        lambda f: edited(f, **{"../x": ["diffusers", "UNet2DModel"]}),
        "only parts of diffusers",
    ),
    "a class that is none": (
        lambda f: edited(f, _class_name="NoSuchPipeline"),
        "_class_name is 'NoSuchPipeline', which is not in diffusers",
    ),
    "a class misspelt": (
        lambda f: edited(f, _class_name="StableDifusionPipeline"),
        "'StableDifusionPipeline', which is not in diffusers; StableDiffusionPipeline is",
    ),
    "a component misspelt": (
        lambda f: edited(f, unet=["diffusers", "UNet2DConditionModell"]),
        "unet is 'UNet2DConditionModell'.* not in diffusers; UNet2DConditionModel is",
    ),
    "a larger class than its parts": (
        lambda f: edited(f, _class_name="StableDiffusionXLPipeline"),
        "tokenizer_2 is missing, which a StableDiffusionXLPipeline needs",
    ),
    "no scheduler": (
        lambda f: edited(f, scheduler=[None, None]),
        r"StableDiffusionPipeline expected \[.*'scheduler'.*\], but only",
    ),
    "no settings of the scheduler": (
        lambda f: (f / "scheduler/scheduler_config.json").rename(f / "scheduler/other.json"),
        "no file named scheduler_config.json found in directory .*scheduler",
    ),
    "no words": (without_words, "tokenizer lacks vocab.json and merges.txt"),
    "half of the weights": (half_of_the_weights, "weights of unet are incomplete"),
    "shards without their index": (
        two_shards,
        "no file named diffusion_pytorch_model.safetensors found in directory .*unet",
    ),
    "fp16 of one part": (
        lambda f: (f / "unet/diffusion_pytorch_model.safetensors").rename(
            f / "unet/diffusion_pytorch_model.fp16.safetensors"
        ),
        r"lacks files of unet; .*\.fp16\.safetensors.*fp16 works for all networks or none",
    ),
    "a Git LFS pointer": (
        lambda f: (f / "unet/diffusion_pytorch_model.safetensors").write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
        ),
        "unet/diffusion_pytorch_model.safetensors is a Git LFS pointer",
    ),
    "a byte order mark": (lambda f: with_mark(f / "model_index.json"), "byte order mark"),
    "a byte order mark in a component": (
        lambda f: with_mark(f / "unet/config.json"),
        r"unet/config\.json \(Unexpected UTF-8 BOM.*byte order mark",
    ),
    "settings that break off": (
        lambda f: (f / "vae/config.json").write_text('{"a": '),
        "no readable vae/config.json .*JSON",
    ),
    "no text to image": (lambda f: edited(f, _class_name="DDPMPipeline"), "text-to-image|failed"),
    "damaged weights": (
        lambda f: (f / "vae/diffusion_pytorch_model.safetensors").write_bytes(b"\xff" * 100),
        "is damaged",
    ),
    "weights that break off": (
        lambda f: (f / "vae/diffusion_pytorch_model.safetensors").write_bytes(
            (f / "vae/diffusion_pytorch_model.safetensors").read_bytes()[:-100]
        ),
        "is damaged",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_folders_are_refused_with_a_sentence(copied: Path, name: str) -> None:
    spoil, said = SPOILT[name]
    spoil(copied)
    with pytest.raises(WeightsError, match=said) as caught:
        HubPipeline.load(str(copied))
    assert str(caught.value).endswith((".", "may work."))


def test_code_beside_the_weights_is_not_run(copied: Path) -> None:
    ran = copied / "ran"
    for name in ("pipeline.py", "unet/diffusers.py", "unet/unet.py"):
        (copied / name).write_text(f"open({str(ran)!r}, 'w')")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        HubPipeline.load(str(copied))
    assert not ran.exists()


@pytest.mark.parametrize(
    "name", ["", " ", "tiny", "a/b/c", "a/../b", "a--b/c", "https://x.org/a", "a/b\0", "x" * 600]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(WeightsError, match=r"^(Name a pipeline|.* is neither)"):
        pipeline_hub.look_up(name)


def test_a_hosted_app_takes_no_folders(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "someone/space")
    for name in (str(saved), "../tiny", "~/tiny", "/etc"):
        with pytest.raises(WeightsError, match="Folders cannot be named here"):
            pipeline_hub.look_up(name)


def test_the_home_of_nobody_is_a_folder_without_a_pipeline() -> None:
    with pytest.raises(WeightsError, match=r"no readable model_index\.json"):
        pipeline_hub.look_up("~nobody-of-this-name/pipeline")


def test_what_does_not_fit_is_not_loaded(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "free_memory", lambda: 1_000_000_000)
    with pytest.raises(WeightsError, match=r"needs about 1\.5 GB of memory and 1\.0 GB are free"):
        HubPipeline.load(str(saved))


def test_free_memory_is_known_here() -> None:
    free = pipeline.free_memory()
    assert free is None or 10_000_000 < free < 10**13


# -- the Hub ---------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """The part of the Hub's interface that is used: one repository, in a folder; `asked` lists the
    paths."""

    def __init__(self, folder: Path, asked: list[str], *args: Any):
        self.folder, self.asked = folder, asked
        super().__init__(*args)

    def do_GET(self, body: bool = True) -> None:
        self.asked.append(self.path)
        path = self.path.partition("?")[0]
        files = {
            f.relative_to(self.folder).as_posix(): f for f in self.folder.rglob("*") if f.is_file()
        }
        name = path.partition("/resolve/")[2].partition("/")[2]
        if path.startswith(f"/api/models/{REPO}/tree/"):
            rows = [
                {"type": "file", "path": n, "size": f.stat().st_size, "oid": f"{hash(n):x}"}
                for n, f in files.items()
            ]
            self.answer(json.dumps(rows).encode(), "application/json", body)
        elif path.startswith(f"/api/models/{REPO}"):
            rows = [{"rfilename": n, "size": f.stat().st_size} for n, f in files.items()]
            info = {
                "id": REPO,
                "sha": COMMIT,
                "siblings": rows,
                "cardData": {"license": "mit"},
                "private": False,
            }
            self.answer(json.dumps(info).encode(), "application/json", body)
        elif path.startswith(f"/{REPO}/resolve/") and name in files:
            self.answer(files[name].read_bytes(), "application/octet-stream", body)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def answer(self, data: bytes, kind: str, body: bool) -> None:
        first, last = 0, len(data) - 1
        if self.headers.get("Range"):
            begin, _, end = self.headers["Range"].removeprefix("bytes=").partition("-")
            first, last = int(begin), min(int(end or last), last)
        part = data[first : last + 1]
        self.send_response(206 if self.headers.get("Range") else 200)
        for key, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(part))),
            ("X-Repo-Commit", COMMIT),
            ("ETag", f'"{len(data)}-{sum(data)}"'),
            ("Accept-Ranges", "bytes"),
            ("Content-Range", f"bytes {first}-{last}/{len(data)}"),
        ):
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(part)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def hub(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the server was asked for; the pipeline, and beside it what nobody needs, lies on it."""
    (copied / "README.md").write_text("# Tiny")
    (copied / "unet/diffusion_pytorch_model.bin").write_bytes(bytes(1000))
    (copied / "other").mkdir()
    (copied / "other/model.safetensors").write_bytes(bytes(1000))
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, copied, asked))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    for module, name, value in (
        ("constants", "ENDPOINT", url),
        ("hf_api.constants", "ENDPOINT", url),
        ("constants", "HF_HUB_CACHE", str(tmp_path / "cache")),
    ):
        monkeypatch.setattr(f"huggingface_hub.{module}.{name}", value)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        url + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setenv("HF_ENDPOINT", url)  # of the process that downloads
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield asked
    server.shutdown()
    server.server_close()


def test_the_hub_is_asked_first_and_fetched_from_later(
    hub: list[str], saved: Path, copied: Path
) -> None:
    found = pipeline_hub.look_up(REPO)
    assert found.folder is None and found.licence == "mit"
    local = pipeline_hub.look_up(str(saved))
    assert found.parameters == local.parameters and set(found.files) == set(local.files)
    assert sum(found.missing.values()) == sum(
        (copied / name).stat().st_size for name in found.missing
    )
    with pytest.raises(WeightsError, match=f"{REPO} is not on this machine yet"):
        HubPipeline.load(REPO)

    said = list(pipeline_hub.download(found))
    assert said[-1][0] == said[-1][1] == sum(found.missing.values())
    fetched = {path.rpartition("/")[2] for path in hub if "/resolve/" in path}
    assert (
        "diffusion_pytorch_model.safetensors" in fetched
        and not {"README.md", "diffusion_pytorch_model.bin"} & fetched
    )
    assert not any("/other/" in path for path in hub)

    del hub[:]
    ours = HubPipeline.load(REPO).generate("a fox", **SMALL)
    assert not hub  # what is here needs no network
    assert np.array_equal(ours, HubPipeline.load(str(saved)).generate("a fox", **SMALL))


def test_a_download_that_is_stopped_goes_on_later(hub: list[str]) -> None:
    found = pipeline_hub.look_up(REPO)
    download = pipeline_hub.download(found)
    next(download)
    download.close()  # type: ignore[attr-defined]
    list(pipeline_hub.download(pipeline_hub.look_up(REPO)))
    assert pipeline_hub.look_up(REPO).folder is not None


@pytest.mark.parametrize(
    "name", ["tokenizer/tokenizer.json", "vae/diffusion_pytorch_model.safetensors"]
)
def test_half_a_download_is_no_pipeline_yet(hub: list[str], name: str) -> None:
    found = pipeline_hub.look_up(REPO)
    list(pipeline_hub.download(found))
    local = pipeline_hub.find_local(REPO)
    assert local is not None and local.folder is not None
    (local.folder / name).unlink()
    assert pipeline_hub.find_local(REPO) is None
    assert list(pipeline_hub.look_up(REPO).missing) == [name]


def test_a_full_disk_is_said_before(hub: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = pipeline_hub.look_up(REPO)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=400_000_000))
    with pytest.raises(WeightsError, match=r"has 0\.4 GB left"):
        next(pipeline_hub.download(found))


def test_pickles_on_the_hub_are_refused(hub: list[str], copied: Path) -> None:
    pickle_only(copied)
    with pytest.raises(WeightsError, match=r"model\.bin.*safetensors, as pickles can run code"):
        pipeline_hub.look_up(REPO)


def test_an_unknown_name_on_the_hub(hub: list[str]) -> None:
    with pytest.raises(WeightsError, match="There is no someone/else on the Hugging Face Hub"):
        pipeline_hub.look_up("someone/else")


@pytest.mark.parametrize("hosted", [False, True])
def test_without_a_network(hosted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    if hosted:
        monkeypatch.setenv("SPACE_ID", "someone/space")
    with pytest.raises(WeightsError, match="there is no network") as caught:
        pipeline_hub.look_up(REPO)
    assert ("A folder works without" in str(caught.value)) != hosted


def test_memory_is_counted_in_the_precision_used(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pipeline_hub.look_up(str(saved))
    for native, size in ((True, 2), (False, 4)):
        monkeypatch.setattr("tasks.core.device.bf16_is_native", lambda native=native: native)
        assert found.memory == size * found.parameters + files.WORKING_MEMORY
