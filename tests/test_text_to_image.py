"""Text to image on tiny pipelines with random weights, written by the tests; the Hub is a small server here."""

import base64
import io
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tasks import text_to_image, text_to_image_files, text_to_image_hub
from tasks.images import ImageError
from tasks.tabs import diffusion_text
from tasks.tabs.runs import MAX_RUN
from tasks.text_to_image import TextToImage
from tasks.text_to_image_preview import Colours, in_steps
from tasks.weights import WeightsError

REPO = "someone/tiny-pipeline"
SMALL: dict[str, Any] = {"n_steps": 3, "size": 128}


def tokenizer(folder: Path) -> Any:
    """CLIP's, with letters for a vocabulary."""
    from transformers import CLIPTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, *(c + "</w>" for c in letters), "fo", "fox</w>", "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\nf o\nfo x</w>\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)


def tiny(folder: Path, scheduler: Any = None) -> Any:
    """Stable Diffusion with 50,000 weights."""
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    words = tokenizer(folder)
    text = CLIPTextConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16, projection_dim=16, bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=16, block_out_channels=(16, 16), layers_per_block=1, norm_num_groups=8, cross_attention_dim=16,
        attention_head_dim=2, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), norm_num_groups=4, layers_per_block=1, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    return StableDiffusionPipeline(
        vae=vae, text_encoder=CLIPTextModel(text), tokenizer=words, unet=unet,
        scheduler=scheduler or EulerDiscreteScheduler(timestep_spacing="trailing", steps_offset=1), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    tiny(folder / "words").save_pretrained(folder / "tiny", safe_serialization=True)
    return folder / "tiny"


@pytest.fixture(scope="module")
def model(saved: Path) -> TextToImage:
    return TextToImage.load(str(saved))


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


# -- pictures -------------------------------------------------------------------------------------------------------


def test_the_steps_and_then_the_picture(model: TextToImage) -> None:
    *steps, last = model.steps("a fox", seed=1, **SMALL)
    assert [(s.i, s.n) for s in steps] == [(1, 3), (2, 3), (3, 3)] and last.i == last.n == 3
    assert all(s.picture is None and s.predicted and s.x_t.shape == s.x0.shape == (16, 16, 3) for s in steps)
    assert last.picture is not None and last.picture.shape == (128, 128, 3) and last.picture.dtype == np.uint8
    assert steps[0].t > steps[1].t > steps[2].t and not last.withheld
    assert np.abs(steps[2].x_t.astype(int) - steps[2].x0).mean() < 1  # Euler's last step goes to sigma = 0; bf16


def test_same_seed_same_picture_and_as_diffusers_makes_it(model: TextToImage) -> None:
    first = model.generate("a fox", seed=1, guidance=4.0, **SMALL)
    assert np.array_equal(first, model.generate("a fox", seed=1, guidance=4.0, **SMALL))
    for other in ({"prompt": "a fox", "seed": 2}, {"prompt": "a dog", "seed": 1}):
        assert not np.array_equal(first, model.generate(**other, guidance=4.0, **SMALL))  # type: ignore[arg-type]
    theirs = model.pipe("a fox", num_inference_steps=3, guidance_scale=4.0, height=128, width=128, output_type="np",
                        generator=torch.Generator().manual_seed(1))  # fmt: skip
    assert np.abs(theirs.images[0] * 255 - first).max() < 0.51


def test_two_at_once_do_not_disturb_each_other(model: TextToImage) -> None:
    alone = model.generate("a fox", seed=1, **SMALL)
    one, other = model.steps("a fox", seed=1, **SMALL), model.steps("a dog", seed=2, n_steps=5, size=128)
    pairs = list(zip(one, other, strict=False))
    assert pairs[-1][0].picture is not None and np.array_equal(pairs[-1][0].picture, alone)
    other.close()  # type: ignore[attr-defined]


def schedulers() -> dict[str, Callable[[], Any]]:
    import diffusers as d

    return {
        "PNDM": partial(d.PNDMScheduler, skip_prk_steps=True),
        "DDIM": d.DDIMScheduler,
        "DPM-Solver++": d.DPMSolverMultistepScheduler,
        "UniPC": d.UniPCMultistepScheduler,
        "LCM": d.LCMScheduler,
    }


@pytest.mark.parametrize("name", ["PNDM", "DDIM", "DPM-Solver++", "UniPC", "LCM"])
def test_what_other_samplers_expect_is_seen(name: str, tmp_path: Path) -> None:
    """One network without noise left: the last prediction and the last latent are nearly the same picture."""
    model = TextToImage(tiny(tmp_path / "words", schedulers()[name]()), "tiny")
    *steps, last = model.steps("a fox", seed=1, n_steps=8, size=128)
    assert all(step.predicted for step in steps) and last.picture is not None
    first, end = (np.abs(s.x0.astype(int) - s.x_t).mean() for s in (steps[0], steps[-1]))
    assert end < max(1.0, first / 2)


def test_stop_ends_within_one_step_and_frees_the_thread(model: TextToImage) -> None:
    made = []
    original = model.pipe.unet.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        made.append(threading.current_thread().name)
        return original(*args, **kwargs)

    model.pipe.unet.forward = counted
    try:
        steps = model.steps("a fox", n_steps=40, size=128)
        next(steps), next(steps)
        time.sleep(0.2)
        assert len(made) == 2  # nothing is computed that was not asked for
        steps.close()  # type: ignore[attr-defined]
        assert len(made) == 2 and made[0] not in {t.name for t in threading.enumerate()}
    finally:
        model.pipe.unet.forward = original


def test_what_a_followed_function_raises_is_raised() -> None:
    def work(give: Callable[[int], None]) -> None:
        give(1)
        raise ValueError("broken")

    steps = in_steps(work)
    assert next(steps) == 1
    with pytest.raises(ValueError, match="broken"):
        next(steps)


def test_colours_find_the_map_of_a_linear_decoder() -> None:
    weights = torch.tensor([[0.3, -0.1, 0.2], [0.0, 0.2, 0.1], [-0.2, 0.1, 0.0], [0.05, 0.0, -0.3]])
    shift = torch.tensor([0.1, -0.2, 0.3])

    class Vae(torch.nn.Conv2d):
        config = {"scaling_factor": 0.5, "latent_channels": 4}  # noqa: RUF012

        def decode(self, z: torch.Tensor, return_dict: bool) -> tuple[torch.Tensor]:
            rgb = torch.einsum("nchw,cr->nrhw", 0.5 * z, weights) + shift[:, None, None]
            return (rgb.repeat_interleave(8, 2).repeat_interleave(8, 3),)

    config = SimpleNamespace(latent_channels=4, get=Vae.config.get)
    vae = Vae(1, 1, 1)
    vae.config = config  # type: ignore[assignment]
    colours = Colours(SimpleNamespace(vae=vae))
    assert colours.explained == pytest.approx(1)
    assert torch.allclose(colours.weights.float(), torch.cat([weights, shift[None]]), atol=1e-5)
    seen = colours(torch.zeros(1, 4, 3, 5), 40)
    assert seen.shape == (3, 5, 3) and np.abs(seen[0, 0] / 127.5 - 1 - shift.numpy()).max() < 1 / 127
    with pytest.raises(ValueError, match="cannot be shown"):
        colours(torch.zeros(1, 7, 3, 5), 40)


def test_the_prompt_as_it_is_read(model: TextToImage) -> None:
    assert model.tokens("a Fox") == (["a", "fox"], [])
    read, dropped = model.tokens("fox " * 20)
    assert len(read) == 14 and len(dropped) == 6  # 16 with the marks of beginning and end


BAD: dict[str, dict[str, Any]] = {
    "no prompt": {"prompt": ""},
    "blank prompt": {"prompt": " \n"},
    "no text": {"prompt": None},
    "a long prompt": {"prompt": "a" * 1001},
    "0 steps": {"n_steps": 0},
    "51 steps": {"n_steps": 51},
    "2.5 steps": {"n_steps": 2.5},
    "a negative seed": {"seed": -1},
    "a huge seed": {"seed": 2**31},
    "NaN guidance": {"guidance": float("nan")},
    "negative guidance": {"guidance": -1},
    "guidance 21": {"guidance": 21},
    "guidance True": {"guidance": True},
    "120 px": {"size": 120},
    "776 px": {"size": 776},
    "131 px": {"size": 131},
}


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_are_answered_with_a_sentence(model: TextToImage, name: str) -> None:
    with pytest.raises(ImageError) as caught:
        model.steps(**{"prompt": "a fox", **BAD[name]})
    assert str(caught.value).endswith(".")


def test_a_pipeline_that_fails_says_so(model: TextToImage) -> None:
    original = model.pipe.unet.forward

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("sizes do not match\nat line 3")

    model.pipe.unet.forward = broken
    try:
        with pytest.raises(WeightsError, match=r"failed: sizes do not match\. Another size"):
            model.generate("a fox", **SMALL)
    finally:
        model.pipe.unet.forward = original


# -- the tab --------------------------------------------------------------------------------------------------------


def test_the_tab_shows_every_step_and_hands_out_the_picture(saved: Path) -> None:
    settings = {"seed": 1, "n_steps": 3, "guidance": 0.0, "size": 128}
    about = {"name": "text-seed1", "model": str(saved), "prompt": "a <b>fox</b>", **settings}
    *steps, last = diffusion_text.frames(str(saved), "a <b>fox</b>", settings, about)
    assert len(steps) == 3 and all(f.panels[1].shape == (1, 128, 128, 3) for f in [*steps, last])
    assert "<b>" not in last.text and "Read as" in last.text
    blob = base64.b64decode(last.text.partition("base64,")[2].partition("'")[0])
    with Image.open(io.BytesIO(blob)) as picture:
        assert json.loads(picture.info["settings"]) == about  # type: ignore[attr-defined]
        ours = TextToImage.load(str(saved)).generate("a <b>fox</b>", **settings)
        assert np.array_equal(np.asarray(picture), ours) and np.array_equal(last.panels[1][0], ours)


def test_the_film_of_a_long_run_is_smaller_and_its_picture_is_not() -> None:
    assert diffusion_text.film_side(512, 5) == 512 and diffusion_text.film_side(512, 52) == 256
    assert 6 * diffusion_text.film_side(768, 52) ** 2 * 52 <= diffusion_text.ROOM < MAX_RUN


def test_generating_with_what_is_not_here_points_to_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="Press “Look it up”"):
        diffusion_text.begin_text(REPO, "a fox", 2, 0, 512, 0)


# -- files ----------------------------------------------------------------------------------------------------------


def test_what_a_folder_needs(saved: Path) -> None:
    found = text_to_image_hub.look_up(str(saved))
    assert found.folder == saved and found.kind == "StableDiffusionPipeline" and not found.missing
    assert {name.partition("/")[0] for name in found.files} == {
        "model_index.json", "scheduler", "text_encoder", "tokenizer", "unet", "vae"
    }  # fmt: skip
    assert found.parameters == TextToImage.load(str(saved)).parameters


def test_of_two_precisions_the_smaller_is_taken(copied: Path) -> None:
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(copied, torch_dtype=torch.float16)
    pipe.save_pretrained(copied, variant="fp16")
    found = text_to_image_hub.look_up(str(copied))
    assert found.variant == "fp16"
    weights = [name for name in found.files if name.endswith(".safetensors")]
    assert len(weights) == 3 and all(".fp16." in name for name in weights)
    for file in copied.glob("*/*.safetensors"):
        if ".fp16" not in file.name:
            file.unlink()  # so that they would be missed
    assert TextToImage.load(str(copied)).generate("a fox", **SMALL).shape == (128, 128, 3)


def pickle_only(folder: Path) -> None:
    for file in folder.glob("*/*.safetensors"):
        file.rename(file.with_suffix(".bin"))


def edited(folder: Path, **changes: Any) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, **changes}))


def one_shard_of_two(folder: Path) -> None:
    file = folder / "unet/diffusion_pytorch_model.safetensors"
    file.rename(file.with_name("diffusion_pytorch_model-00001-of-00002.safetensors"))


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pickle only": (pickle_only, "as pickle only"),
    "no weights": (lambda f: (f / "unet/diffusion_pytorch_model.safetensors").unlink(), "no weights of unet"),
    "one shard of two": (one_shard_of_two, "some of 2 files are missing"),
    "no index": (lambda f: (f / "model_index.json").unlink(), "readable model_index.json"),
    "an index that is none": (lambda f: (f / "model_index.json").write_text("[1"), "readable model_index.json"),
    "an index that is a list": (lambda f: (f / "model_index.json").write_text("[]"), "code of its own"),
    "a class of its own": (lambda f: edited(f, _class_name=["pipeline", "Mine"]), "code of its own"),
    "a component of its own": (lambda f: edited(f, unet=["os", "system"]), "only parts of diffusers"),
    "a component outside": (lambda f: edited(f, **{"../x": ["diffusers", "UNet2DModel"]}), "only parts of diffusers"),
    "a class that is none": (lambda f: edited(f, _class_name="NoSuchPipeline"), "failed"),
    "no text to image": (lambda f: edited(f, _class_name="DDPMPipeline"), "text-to-image|failed"),
    "damaged weights": (
        lambda f: (f / "vae/diffusion_pytorch_model.safetensors").write_bytes(b"\xff" * 100),
        "is damaged",
    ),
    "weights that break off": (
        lambda f: (f / "vae/diffusion_pytorch_model.safetensors").write_bytes(
            (f / "vae/diffusion_pytorch_model.safetensors").read_bytes()[:-100]
        ),
        "failed",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_folders_are_refused_with_a_sentence(copied: Path, name: str) -> None:
    spoil, said = SPOILT[name]
    spoil(copied)
    with pytest.raises(WeightsError, match=said) as caught:
        TextToImage.load(str(copied))
    assert str(caught.value).endswith((".", "may work."))


@pytest.mark.parametrize("name", ["", " ", "tiny", "a/b/c", "a/../b", "a--b/c", "https://x.org/a", "a/b\0", "x" * 600])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(WeightsError, match=r"^(Name a pipeline|.* is neither)"):
        text_to_image_hub.look_up(name)


def test_a_hosted_app_takes_no_folders(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "someone/space")
    for name in (str(saved), "../tiny", "~/tiny", "/etc"):
        with pytest.raises(WeightsError, match="Folders cannot be named here"):
            text_to_image_hub.look_up(name)


def test_what_does_not_fit_is_not_loaded(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_to_image, "free_memory", lambda: 1_000_000_000)
    with pytest.raises(WeightsError, match=r"needs about 1\.5 GB of memory and 1\.0 GB are free"):
        TextToImage.load(str(saved))


def test_free_memory_is_known_here() -> None:
    free = text_to_image.free_memory()
    assert free is None or 10_000_000 < free < 10**13


# -- the Hub --------------------------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """The part of the Hub's interface that is used: one repository, in a folder; `asked` lists the paths."""

    def __init__(self, folder: Path, asked: list[str], *args: Any):
        self.folder, self.asked = folder, asked
        super().__init__(*args)

    def do_GET(self, body: bool = True) -> None:
        self.asked.append(self.path)
        path = self.path.partition("?")[0]
        files = {f.relative_to(self.folder).as_posix(): f for f in self.folder.rglob("*") if f.is_file()}
        name = path.partition("/resolve/")[2].partition("/")[2]
        if path.startswith(f"/api/models/{REPO}/tree/"):
            rows = [
                {"type": "file", "path": n, "size": f.stat().st_size, "oid": f"{hash(n):x}"} for n, f in files.items()
            ]
            self.answer(json.dumps(rows).encode(), "application/json", body)
        elif path.startswith(f"/api/models/{REPO}"):
            rows = [{"rfilename": n, "size": f.stat().st_size} for n, f in files.items()]
            info = {"id": REPO, "sha": COMMIT, "siblings": rows, "cardData": {"license": "mit"}, "private": False}
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
        for key, value in (("Content-Type", kind), ("Content-Length", str(len(part))), ("X-Repo-Commit", COMMIT),
                           ("ETag", f'"{len(data)}-{sum(data)}"'), ("Accept-Ranges", "bytes"),
                           ("Content-Range", f"bytes {first}-{last}/{len(data)}")):  # fmt: skip
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
    for module, name, value in (("constants", "ENDPOINT", url), ("hf_api.constants", "ENDPOINT", url),
                                ("constants", "HF_HUB_CACHE", str(tmp_path / "cache"))):  # fmt: skip
        monkeypatch.setattr(f"huggingface_hub.{module}.{name}", value)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setenv("HF_ENDPOINT", url)  # of the process that downloads
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield asked
    server.shutdown()
    server.server_close()


def test_the_hub_is_asked_first_and_fetched_from_later(hub: list[str], saved: Path, copied: Path) -> None:
    found = text_to_image_hub.look_up(REPO)
    assert found.folder is None and found.licence == "mit"
    local = text_to_image_hub.look_up(str(saved))
    assert found.parameters == local.parameters and set(found.files) == set(local.files)
    assert sum(found.missing.values()) == sum((copied / name).stat().st_size for name in found.missing)
    with pytest.raises(WeightsError, match=f"{REPO} is not on this machine yet"):
        TextToImage.load(REPO)

    said = list(text_to_image_hub.download(found))
    assert said[-1][0] == said[-1][1] == sum(found.missing.values())
    fetched = {path.rpartition("/")[2] for path in hub if "/resolve/" in path}
    assert (
        "diffusion_pytorch_model.safetensors" in fetched and not {"README.md", "diffusion_pytorch_model.bin"} & fetched
    )
    assert not any("/other/" in path for path in hub)

    del hub[:]
    ours = TextToImage.load(REPO).generate("a fox", **SMALL)
    assert not hub  # what is here needs no network
    assert np.array_equal(ours, TextToImage.load(str(saved)).generate("a fox", **SMALL))


def test_a_download_that_is_stopped_goes_on_later(hub: list[str]) -> None:
    found = text_to_image_hub.look_up(REPO)
    download = text_to_image_hub.download(found)
    next(download)
    download.close()  # type: ignore[attr-defined]
    list(text_to_image_hub.download(text_to_image_hub.look_up(REPO)))
    assert text_to_image_hub.look_up(REPO).folder is not None


def test_a_full_disk_is_said_before(hub: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = text_to_image_hub.look_up(REPO)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=400_000_000))
    with pytest.raises(WeightsError, match=r"has 0\.4 GB left"):
        next(text_to_image_hub.download(found))


def test_pickles_on_the_hub_are_refused(hub: list[str], copied: Path) -> None:
    pickle_only(copied)
    with pytest.raises(WeightsError, match="as pickle only"):
        text_to_image_hub.look_up(REPO)


def test_an_unknown_name_on_the_hub(hub: list[str]) -> None:
    with pytest.raises(WeightsError, match="There is no someone/else on the Hugging Face Hub"):
        text_to_image_hub.look_up("someone/else")


@pytest.mark.parametrize("hosted", [False, True])
def test_without_a_network(hosted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    if hosted:
        monkeypatch.setenv("SPACE_ID", "someone/space")
    with pytest.raises(WeightsError, match="there is no network here") as caught:
        text_to_image_hub.look_up(REPO)
    assert ("folder on this machine works" in str(caught.value)) != hosted


def test_memory_is_counted_in_the_precision_used(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = text_to_image_hub.look_up(str(saved))
    for native, size in ((True, 2), (False, 4)):
        monkeypatch.setattr("tasks.compute.bf16_is_native", lambda native=native: native)
        assert found.memory == size * found.parameters + text_to_image_files.WORKING_MEMORY
