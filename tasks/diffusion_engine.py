"""A diffusion network computed by OpenVINO: on processors without bf16, large batches come out in 0.6 of the time.

`python -m benchmarks.diffusion` shows it (train/LOG.md). Numbers are the network's own but for rounding, about 1e-5.
"""

import torch
from torch import Tensor, nn

from tasks import compute
from tasks.openvino_requests import Requests

PIECE = 8
"""Pictures an inference request; each size that is compiled takes about 70 MB, so there is one."""


def pays() -> bool:
    """Whether OpenVINO is there, and is the faster way on this machine."""
    return compute.device().type == "cpu" and not compute.bf16_is_native() and compute.has_openvino()


class OpenVinoUNet:
    """The network for batches, which are cut into pieces that are computed side by side; from several threads.

    What is left over, and a batch of less than two pieces, is computed by the network itself. Building it takes a
    second.
    """

    def __init__(self, network: nn.Module, channels: int, side: int):
        self.network = network
        example = (torch.zeros(PIECE, channels, side, side), *torch.zeros(2, PIECE, dtype=torch.int64))
        model = compute.to_openvino(network, *example)
        model.reshape({given: list(like.shape) for given, like in zip(model.inputs, example, strict=True)})
        streams = min(2, compute.cores())  # one thread a piece on two cores: nothing waits for another thread
        self._requests = Requests(model, streams, streams)

    def __call__(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:  # as the network
        whole = len(x) // PIECE * PIECE if len(x) >= 2 * PIECE else 0
        if not whole:
            out: Tensor = self.network(x, t, label)
            return out
        pieces = [[a[i : i + PIECE].numpy() for a in (x, t, label)] for i in range(0, whole, PIECE)]
        done = torch.from_numpy(self._requests.run(pieces))
        rest = [self.network(x[whole:], t[whole:], label[whole:])] if whole < len(x) else []
        return torch.cat([done, *rest])
