"""Two networks that read a 28x28 digit: ours, and the one of the textbooks.

`DigitCNN` stacks 3x3 convolutions with batch normalisation (Ioffe and Szegedy 2015) in three
stages, as VGG does (Simonyan and Zisserman 2015), halving the side and widening the channels
between stages; the last map is averaged over all positions and read by one linear layer.
`TextbookCNN` is the classic of two convolutions and two dense layers.

Both take float32 (B, 1, 28, 28) in [0, 1], ink = 1, and return logits float32 (B, 10).
"""

import torch
from torch import Tensor, nn


def conv_bn_relu(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU; (B, n_in, H, W) -> (B, n_out, H/stride, W/stride)."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
    )


class DigitCNN(nn.Module):
    """Seven 3x3 convolutions in three stages, global average, one linear layer.

    Args:
        widths: channels of the stages at 28x28, 14x14 and 7x7.
        dropout: chance with which a feature is dropped before the linear layer, training only.
    """

    def __init__(self, widths: tuple[int, int, int] = (16, 40, 80), dropout: float = 0.3):
        super().__init__()
        w1, w2, w3 = widths
        self.stage1 = nn.Sequential(conv_bn_relu(1, w1), conv_bn_relu(w1, w1))
        self.stage2 = nn.Sequential(
            conv_bn_relu(w1, w2, stride=2), conv_bn_relu(w2, w2), conv_bn_relu(w2, w2)
        )
        self.stage3 = nn.Sequential(
            conv_bn_relu(w2, w3, stride=2), conv_bn_relu(w3, w3), conv_bn_relu(w3, w3)
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(w3, 10)

    def feature_maps(self, x: Tensor) -> dict[str, Tensor]:
        """The output of every stage, by name, in order."""
        maps = {}
        for name in ("stage1", "stage2", "stage3"):
            x = maps[name] = getattr(self, name)(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, 28, 28)
        x = self.stage1(x)  # (B, w1, 28, 28)
        x = self.stage2(x)  # (B, w2, 14, 14)
        x = self.stage3(x)  # (B, w3, 7, 7)
        x = x.mean((2, 3))  # (B, w3)
        return self.head(self.dropout(x))  # (B, 10)


class DigitEnsemble(nn.Module):
    """Several DigitCNNs whose logits are averaged (Ciresan, Meier, Schmidhuber 2012).

    Args:
        members: number of networks.
        widths, dropout: of each DigitCNN.
    """

    def __init__(
        self, members: int = 2, widths: tuple[int, int, int] = (16, 40, 80), dropout: float = 0.3
    ):
        super().__init__()
        self.members = nn.ModuleList(DigitCNN(widths, dropout) for _ in range(members))
        self.register_load_state_dict_pre_hook(_rename_columns)

    def feature_maps(self, x: Tensor) -> dict[str, Tensor]:
        """The output of every stage of the first member."""
        first: DigitCNN = self.members[0]  # type: ignore[assignment]
        return first.feature_maps(x)

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, 28, 28)
        return torch.stack([member(x) for member in self.members]).mean(0)  # (B, 10)


def _rename_columns(network: nn.Module, state: dict[str, Tensor], *_: object) -> None:
    """The bundled weights were exported when the members were called columns."""
    for key in [key for key in state if key.startswith("columns.")]:
        state[key.replace("columns.", "members.", 1)] = state.pop(key)


class TextbookCNN(nn.Module):
    """Convolutions of 32 and 64 channels with max pooling, a dense layer of 128 and one of 10."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.stage2 = nn.Sequential(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(64 * 5 * 5, 128), nn.ReLU())
        self.head = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, 28, 28)
        x = self.stage1(x)  # (B, 32, 13, 13)
        x = self.stage2(x)  # (B, 64, 5, 5)
        x = self.dense(x)  # (B, 128)
        return self.head(x)  # (B, 10)
