"""A small network for digits, from a line of text: "conv 32, pool, conv 64, pool, dense 128".

The textbook's layers: 3x3 convolutions and dense layers, each with a ReLU, and 2x2 max pooling. A
dense layer of ten logits is put behind.
"""

from torch import Tensor, nn

MAX_LAYERS = 8
MAX_CONV, MAX_DENSE = 64, 512  # channels, units of a layer
MAX_PARAMETERS = 500_000
MAX_OPERATIONS = 12_000_000  # multiplications for one digit
NEEDED = 'Layers are written as "conv 32", "pool" or "dense 128", separated by commas'


class LayerStack(nn.Module):
    """float32 (B, 1, 28, 28) in [0, 1] -> logits (B, 10).

    Raises ValueError with a sentence: a layer that is none, too many, too large, out of order.
    """

    def __init__(self, layers: str = "conv 32, pool, conv 64, pool, dense 128"):
        super().__init__()
        self.body, operations = _build(_parse(layers))
        parameters = sum(p.numel() for p in self.parameters())
        if parameters > MAX_PARAMETERS or operations > MAX_OPERATIONS:
            raise ValueError(
                f"These layers have {parameters:,} parameters and take {operations:,} "
                f"multiplications a digit; at most {MAX_PARAMETERS:,} and {MAX_OPERATIONS:,} work "
                "here. Pool earlier, or take fewer channels."
            )

    @property
    def first(self) -> nn.Module:
        """The first layer with weights."""
        return next(layer for layer in self.body if isinstance(layer, nn.Conv2d | nn.Linear))

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, 28, 28)
        return self.body(x)  # (B, 10)


def _parse(text: str) -> list[tuple[str, int]]:
    """ "conv 32, pool" -> [("conv", 32), ("pool", 0)]."""
    words = [part.split() for part in text.lower().split(",") if part.strip()]
    if not 1 <= len(words) <= MAX_LAYERS:
        raise ValueError(f"1 to {MAX_LAYERS} layers are needed; {len(words)} came. {NEEDED}.")
    found = []
    for kind, *size in words:
        most = {"conv": MAX_CONV, "dense": MAX_DENSE}.get(kind)
        is_pool = kind == "pool" and not size
        is_sized = most is not None and len(size) == 1 and size[0].isdecimal()
        if not is_pool and not (is_sized and 1 <= int(size[0][:9]) <= (most or 0)):
            layer = " ".join([kind, *size])[:30]
            raise ValueError(
                f"{layer!r} is no layer here. {NEEDED}; a convolution has 1 to {MAX_CONV} "
                f"channels, a dense layer 1 to {MAX_DENSE} units."
            )
        found.append((kind, int(size[0]) if size else 0))
    return found


def _build(layers: list[tuple[str, int]]) -> tuple[nn.Sequential, int]:
    """The network, and its multiplications for one digit. Raises ValueError."""
    body: list[nn.Module] = []
    channels, side, units, operations = 1, 28, 0, 0  # units: of the last dense layer, once flat
    for kind, size in layers:
        if units and kind != "dense":
            raise ValueError(f"{kind!r} stands behind a dense layer; dense layers come last.")
        if kind != "dense" and side < (3 if kind == "conv" else 2):
            raise ValueError(f"The maps have {side} px left, too few for {kind!r}. Pool less.")
        if kind == "conv":
            side -= 2
            operations += 9 * channels * size * side * side
            body += [nn.Conv2d(channels, size, 3), nn.ReLU()]
            channels = size
        elif kind == "pool":
            side //= 2
            body.append(nn.MaxPool2d(2))
        else:
            width = units or channels * side * side
            body += [*([] if units else [nn.Flatten()]), nn.Linear(width, size), nn.ReLU()]
            operations += width * size
            units = size
    width = units or channels * side * side
    body += [*([] if units else [nn.Flatten()]), nn.Linear(width, 10)]
    return nn.Sequential(*body), operations + 10 * width
