"""A diffusion network computed by OpenVINO, in fp32: large batches take 0.6 of PyTorch's time.

So it is on processors without bf16 (`python -m benchmarks.engines`, train/LOG.md); elsewhere
PyTorch's bf16 is faster. Numbers differ from the network's own by rounding, about 1e-5.
"""

import torch
from torch import Tensor, nn

from tasks.core import device, openvino

PIECE = 8
"""Images an inference request; each size that is compiled takes about 70 MB, so there is one."""


def is_faster() -> bool:
    """Whether OpenVINO is there, and is the faster way on this machine."""
    return device.best().type == "cpu" and not device.bf16_is_native() and openvino.is_installed()


class OpenVinoUNet:
    """The network for batches, cut into pieces that are computed side by side; thread-safe.

    The network itself computes the rest of a batch, and a batch of less than two pieces. Building
    this takes a second.
    """

    def __init__(self, network: nn.Module, channels: int, side: int):
        self.network = network
        times_and_labels = torch.zeros(2, PIECE, dtype=torch.int64)
        example = (torch.zeros(PIECE, channels, side, side), *times_and_labels)
        model = openvino.convert(network, *example)
        shapes = [list(tensor.shape) for tensor in example]
        model.reshape(dict(zip(model.inputs, shapes, strict=True)))
        # one thread a piece on two cores: nothing waits for another thread
        streams = min(2, device.cores())
        precision = openvino.precision_for("diffusion")
        self._pool = openvino.RequestPool(model, streams, streams, precision)

    def __call__(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:  # as the network
        n = len(x) // PIECE * PIECE if len(x) >= 2 * PIECE else 0  # images computed in pieces
        if not n:
            out: Tensor = self.network(x, t, label)
            return out
        pieces = [[a[i : i + PIECE].numpy() for a in (x, t, label)] for i in range(0, n, PIECE)]
        done = torch.from_numpy(self._pool.run(pieces))
        rest = [self.network(x[n:], t[n:], label[n:])] if n < len(x) else []
        return torch.cat([done, *rest])
