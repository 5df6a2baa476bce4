"""A training of a second through train/loop.py, for `accelerate launch`: its weights go to the file that is named.

    accelerate launch --num_processes 2 -m tests.small_training OUT

No batch norm and no chance, which are each process's own: the weights must not depend on how many there are.
"""

import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import PartialState
from torch import Tensor, nn

from train.data import Shuffled
from train.loop import Recipe, fit

N, BATCH = 64, 16
RECIPE = Recipe(steps=40, batch=BATCH, lr=1e-2, weight_decay=0.1, ema=0.9, clip=1.0, bf16=False)


def main(out: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(N, 1, 6, 6, generator=generator), torch.randint(0, 3, (N,), generator=generator)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    before = network.state_dict()["3.weight"].clone()
    order = Shuffled(N, BATCH, 0)

    def batch_at(step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        index = order.at(step, rank, world)
        return images[index], labels[index]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    with tempfile.TemporaryDirectory() as run:
        done = fit(network, batch_at, loss, RECIPE, Path(run))
    state = PartialState()
    if state.is_main_process:
        trained = done.network.state_dict()
        assert not torch.allclose(trained["3.weight"], before, atol=1e-2), "nothing was learnt"
        torch.save(trained, out)
        print(f"{state.num_processes} processes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
