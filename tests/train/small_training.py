"""A training of a second through train/loop.py, for `accelerate launch`; OUT gets its weights.

    accelerate launch --num_processes 2 -m tests.train.small_training OUT

No batch norm and no randomness, which differ by process: the weights must not depend on how many
there are.
"""

import sys
import tempfile
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor, nn

from train.data import Shuffled
from train.loop import BatchAt, Fit, Recipe, Trainer

N, BATCH = 64, 16
RECIPE = Recipe(steps=40, batch=BATCH, lr=1e-2, weight_decay=0.1, ema=0.9, clip=1.0, bf16=False)


def main(out: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    images, labels = (
        torch.rand(N, 1, 6, 6, generator=generator),
        torch.randint(0, 3, (N,), generator=generator),
    )
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    before = network.state_dict()["3.weight"].clone()
    order = Shuffled(N, BATCH, 0)

    def batch_at(at: BatchAt) -> tuple[Tensor, Tensor]:
        index = order.at(at.step, at.rank, at.world)
        return images[index], labels[index]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    def train(recipe: Recipe) -> Fit:
        with tempfile.TemporaryDirectory() as run:
            trainer = Trainer(deepcopy(network), batch_at, loss, recipe, Path(run))
            for _ in trainer.steps():
                pass
            return trainer.result()

    done = train(RECIPE)
    by_the_clock = gather_object([train(replace(RECIPE, minutes=0.02)).steps])
    assert len(set(by_the_clock)) == 1, f"the processes took {by_the_clock} steps"
    state = PartialState()
    if state.is_main_process:
        trained = done.network.state_dict()
        assert not torch.allclose(trained["3.weight"], before, atol=1e-2), "nothing was learned"
        torch.save(trained, out)
        print(f"{state.num_processes} processes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
