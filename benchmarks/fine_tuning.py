"""Pictures a second of the photo networks' sharpness-aware cycle: as PyTorch computes it, and by
train/common/fast_cpu.py.

    python -m benchmarks.fine_tuning [--steps 12] [--threads N]

A step of `python -m train.photos --init-from-shipped`: 32 pictures of 160 px, stem and three stages
frozen, all norms folded, two passes forward and backward; without the optimiser. "plain": both
passes compute everything. "frozen
once": the augmentation and the frozen stages once a step, by OpenVINO. "and depthwise": the
gradients of 5x5
depthwise kernels by `DepthwiseConv2d`, too. The ways take turns step by step, so that a busy
machine is busy for all;
medians. Writes benchmarks/results/fine_tuning.csv.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.results import record
from tasks.core import weights
from tasks.networks.efficientnet_lite import EfficientNetLite, normalise
from train.common import fast_cpu
from train.common.batch_norm_folding import fold
from train.common.sam import ascent_step
from train.photos.data import augment
from train.photos.plans import ANOTHER_CYCLE, NAMES, SIZE

BATCH = 32


def step_of(variant: int, once: bool, depthwise: bool) -> Callable[[Tensor, Tensor], None]:
    """One step's gradients, of photos in [0, 1] (B, 3, 32, 32) and labels (B,)."""
    network = weights.load(NAMES[variant], EfficientNetLite)[0].to(
        memory_format=torch.channels_last
    )  # type: ignore[call-overload]
    fold(network, ANOTHER_CYCLE["folded"])
    network.train()
    frozen = network.first(ANOTHER_CYCLE["frozen"]).requires_grad_(False)
    begin = fast_cpu.frozen(frozen) if once else None
    if depthwise:
        fast_cpu.use_fast_depthwise(network)

    def step(photos: Tensor, labels: Tensor) -> None:
        kept = begin(normalise(augment(photos, SIZE))) if begin else None

        def one_pass() -> None:
            network.zero_grad()
            logits = (
                network(normalise(augment(photos, SIZE)))
                if kept is None
                else network(kept, ANOTHER_CYCLE["frozen"])
            )
            F.cross_entropy(logits, labels).backward()

        one_pass()
        with ascent_step(network, ANOTHER_CYCLE["sam_rho"]):
            one_pass()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, help="of PyTorch and OpenVINO; default: all cores")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    photos, labels = torch.rand(BATCH, 3, 32, 32), torch.arange(BATCH) % 10
    for variant in NAMES:
        ways = {
            "plain": step_of(variant, once=False, depthwise=False),
            "frozen once": step_of(variant, once=True, depthwise=False),
            "and depthwise": step_of(variant, once=True, depthwise=True),
        }
        took: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(args.steps + 2):
            for way, step in ways.items():
                start = time.perf_counter()
                step(photos, labels)
                took[way].append(time.perf_counter() - start)
        seconds = {way: statistics.median(times[2:]) for way, times in took.items()}
        for way in ways:
            record(
                "fine_tuning",
                {
                    "network": f"EfficientNet-Lite{variant}",
                    "way": way,
                    "threads": torch.get_num_threads(),
                    "pictures_s": round(BATCH / seconds[way], 1),
                    "ratio": round(seconds["plain"] / seconds[way], 2),
                },
            )


if __name__ == "__main__":
    main()
