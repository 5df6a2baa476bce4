"""Scenes of handwritten ink and the training on them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.core import weights
from train.common import synthetic
from train.ink import __main__ as ink
from train.ink.scenes import SIDE, Digits, scene


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits(synthetic.printed_digits(20, 0))


def test_a_scene_is_a_function_of_its_seed(digits: Digits) -> None:
    (image, mask), again = scene(digits, (0, 3)), scene(digits, (0, 3))
    assert np.array_equal(image, again[0]) and np.array_equal(mask, again[1])
    assert not np.array_equal(image, scene(digits, (0, 4))[0])
    assert image.shape == (SIDE, SIDE, 3) and image.dtype == np.uint8
    assert mask.shape == (SIDE, SIDE) and mask.min() >= 0 and mask.max() <= 1


def test_most_scenes_have_ink_and_little_of_it(digits: Digits) -> None:
    shares = [float(scene(digits, (1, i))[1].mean()) for i in range(30)]
    assert 18 <= sum(share > 0 for share in shares) < 30
    assert max(shares) < 0.35


def test_the_mask_is_where_the_ink_is(digits: Digits) -> None:
    """In most scenes the pixels just outside the mask have another colour than those inside."""
    differ = 0
    made = [scene(digits, (2, i)) for i in range(20)]
    written = [(image, mask) for image, mask in made if (mask > 0.9).sum() > 30]
    for image, mask in written:
        y, x = np.nonzero(mask > 0.9)
        box = np.s_[max(0, y.min() - 4) : y.max() + 5, max(0, x.min() - 4) : x.max() + 5]
        inside = image[box][mask[box] > 0.9].astype(float).mean(0)
        outside = np.median(image[box][mask[box] == 0].astype(float), 0)
        differ += np.abs(inside - outside).sum() > 25
    assert differ >= 0.7 * len(written)


def test_smoke_with_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ink.main(["--smoke", "--out", str(tmp_path)])
    card = weights.read_card("ink", tmp_path / "weights")
    ink.main(["--smoke", "--resume", "--out", str(tmp_path)])  # finished: trains no further
    assert weights.read_card("ink", tmp_path / "weights").sha256 == card.sha256
    assert card.headline in capsys.readouterr().out
    assert len(card.curve) == 6 and {"loss", "val_iou"} <= card.curve[-1].keys()


def test_it_learns(tmp_path: Path) -> None:
    """The loss on four scenes after a dozen steps on others."""
    printed = synthetic.printed_digits(60, 0)
    done = ink.train(printed, ink.Plan(steps=12, batch=4, ema=0.5), 0, tmp_path, False, n_val=1)
    seen = Digits(printed)
    batch = ink.to_tensors([scene(seen, (5, i)) for i in range(4)])
    torch.manual_seed(0)
    with torch.no_grad():
        before, after = (ink.loss(n.train(), batch) for n in (ink.InkUNet(), done.network))
    assert after < 0.98 * before


def test_iou_known_answer() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    mask = np.zeros((32, 32), np.float32)
    mask[:16] = 1

    class Half(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = torch.full((len(x), 1, 32, 32), -1.0)
            logits[..., :8, :] = 1
            return logits

    assert ink.iou(Half(), [(image, mask)]) == pytest.approx(50)
