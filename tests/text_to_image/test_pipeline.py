"""Text to image on tiny pipelines with random weights, written by the tests."""

import base64
import io
import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.core.images import ImageError
from tasks.core.weights import WeightsError
from tasks.text_to_image.pipeline import HubPipeline
from tasks.text_to_image.preview import Colours, iterate
from tasks.text_to_image.tab import pipelines
from tasks.ui.jobs import MAX_JOB_BYTES
from tests.text_to_image.tiny_pipeline import tiny

REPO = "someone/tiny-pipeline"
SMALL: dict[str, Any] = {"n_steps": 3, "size": 128}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    tiny(folder / "words").save_pretrained(folder / "tiny", safe_serialization=True)
    return folder / "tiny"


@pytest.fixture(scope="module")
def model(saved: Path) -> HubPipeline:
    return HubPipeline.load(str(saved))


# -- images ----------------------------------------------------------------------------------------


def test_steps_come_before_the_image(model: HubPipeline) -> None:
    *steps, last = model.steps("a fox", seed=1, **SMALL)
    assert [(s.i, s.n) for s in steps] == [(1, 3), (2, 3), (3, 3)] and last.i == last.n == 3
    assert all(
        s.image is None and s.predicted and s.x_t.shape == s.x0.shape == (16, 16, 3) for s in steps
    )
    assert (
        last.image is not None
        and last.image.shape == (128, 128, 3)
        and last.image.dtype == np.uint8
    )
    assert steps[0].t > steps[1].t > steps[2].t and not last.withheld
    assert (
        np.abs(steps[2].x_t.astype(int) - steps[2].x0).mean() < 1
    )  # Euler's last step goes to sigma = 0; bf16


def test_same_seed_same_image_as_diffusers_generates(model: HubPipeline) -> None:
    first = model.generate("a fox", seed=1, guidance=4.0, **SMALL)
    assert np.array_equal(first, model.generate("a fox", seed=1, guidance=4.0, **SMALL))
    for other in ({"prompt": "a fox", "seed": 2}, {"prompt": "a dog", "seed": 1}):
        assert not np.array_equal(first, model.generate(**other, guidance=4.0, **SMALL))  # type: ignore[arg-type]
    theirs = model.pipe(
        "a fox",
        num_inference_steps=3,
        guidance_scale=4.0,
        height=128,
        width=128,
        output_type="np",
        generator=torch.Generator().manual_seed(1),
    )
    assert np.abs(theirs.images[0] * 255 - first).max() < 0.51


def test_two_at_once_do_not_disturb_each_other(model: HubPipeline) -> None:
    alone = model.generate("a fox", seed=1, **SMALL)
    one, other = (
        model.steps("a fox", seed=1, **SMALL),
        model.steps("a dog", seed=2, n_steps=5, size=128),
    )
    pairs = list(zip(one, other, strict=False))
    assert pairs[-1][0].image is not None and np.array_equal(pairs[-1][0].image, alone)
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
def test_predictions_of_other_samplers_are_read(name: str, tmp_path: Path) -> None:
    """One network without noise left: the last prediction and the last latent are nearly the
    same."""
    model = HubPipeline(tiny(tmp_path / "words", schedulers()[name]()), "tiny")
    *steps, last = model.steps("a fox", seed=1, n_steps=8, size=128)
    assert all(step.predicted for step in steps) and last.image is not None
    first, end = (np.abs(s.x0.astype(int) - s.x_t).mean() for s in (steps[0], steps[-1]))
    assert end < max(1.0, first / 2)


def test_stop_ends_within_one_step_and_frees_the_thread(model: HubPipeline) -> None:
    made = []
    original = model.pipe.unet.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        made.append(threading.current_thread().name)
        return original(*args, **kwargs)

    model.pipe.unet.forward = counted
    try:
        steps = model.steps("a fox", n_steps=40, size=128)
        next(steps), next(steps)
        assert len(made) == 2  # nothing is computed that was not asked for
        steps.close()  # type: ignore[attr-defined]
        assert len(made) == 2 and made[0] not in {t.name for t in threading.enumerate()}
    finally:
        model.pipe.unet.forward = original


def test_exceptions_of_an_iterated_function_are_raised() -> None:
    def work(give: Callable[[int], None]) -> None:
        give(1)
        raise ValueError("broken")

    steps = iterate(work)
    assert next(steps) == 1
    with pytest.raises(ValueError, match="broken"):
        next(steps)


def test_colours_fit_a_linear_decoder() -> None:
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
    assert (
        seen.shape == (3, 5, 3) and np.abs(seen[0, 0] / 127.5 - 1 - shift.numpy()).max() < 1 / 127
    )
    with pytest.raises(ValueError, match="cannot be shown"):
        colours(torch.zeros(1, 7, 3, 5), 40)


def test_tokens_of_a_prompt(model: HubPipeline) -> None:
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
def test_bad_settings_are_answered_with_a_sentence(model: HubPipeline, name: str) -> None:
    with pytest.raises(ImageError) as caught:
        model.steps(**{"prompt": "a fox", **BAD[name]})
    assert str(caught.value).endswith(".")


def test_a_pipeline_that_fails_says_so(model: HubPipeline) -> None:
    original = model.pipe.unet.forward

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("sizes do not match\nat line 3")

    model.pipe.unet.forward = broken
    try:
        with pytest.raises(WeightsError, match=r"failed: sizes do not match\. Another size"):
            model.generate("a fox", **SMALL)
    finally:
        model.pipe.unet.forward = original


# -- the tab ---------------------------------------------------------------------------------------


def test_the_tab_shows_every_step_and_the_image_as_a_file(saved: Path) -> None:
    settings: dict[str, Any] = {"seed": 1, "n_steps": 3, "guidance": 0.0, "size": 128}
    about = {"name": "text-seed1", "model": str(saved), "prompt": "a <b>fox</b>", **settings}
    *steps, last = pipelines.frames(str(saved), "a <b>fox</b>", settings, about)
    assert len(steps) == 3 and all(f.panels[1].shape == (1, 128, 128, 3) for f in [*steps, last])
    assert "<b>" not in last.text and "Read as" in last.text
    blob = base64.b64decode(last.text.partition("base64,")[2].partition("'")[0])
    with Image.open(io.BytesIO(blob)) as image:
        assert json.loads(image.info["settings"]) == about  # type: ignore[attr-defined]
        ours = HubPipeline.load(str(saved)).generate("a <b>fox</b>", **settings)
        assert np.array_equal(np.asarray(image), ours) and np.array_equal(last.panels[1][0], ours)


def test_panels_of_many_steps_are_smaller() -> None:
    assert pipelines.panel_side(512, 5) == 512 and pipelines.panel_side(512, 52) == 256
    assert 6 * pipelines.panel_side(768, 52) ** 2 * 52 <= pipelines.MAX_BYTES < MAX_JOB_BYTES


def test_what_is_not_here_points_to_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="Press “Look it up”"):
        pipelines.begin(REPO, "a fox", 2, 0, 512, 0)
