"""The U-Net of a diffusion model: diffusers' `UNet2DModel` predicts v at half resolution.

Ho et al. 2020 (arXiv 2006.11239) for the U-Net and its time embedding, Salimans and Ho 2022 (arXiv
2202.00512) for v. `pixel_unshuffle` folds each 2 x 2 px into four channels, so the work is done on
a quarter of the positions.
"""

import threading
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

_importing = threading.Lock()


def import_diffusers() -> None:
    """Import diffusers by one thread at a time; two at once would see half of it.

    Call it before other imports from diffusers. It names what our networks and samplers use, as
    diffusers imports each name on first use only.
    """
    with _importing:
        from diffusers import (  # noqa: F401
            DDIMScheduler,
            DDPMScheduler,
            DPMSolverMultistepScheduler,
            UNet2DModel,
            UniPCMultistepScheduler,
        )


class DiffusionUNet(nn.Module):
    """Takes x_t, t and the class, returns v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0.

    Args:
        channels, side: of the images.
        n_classes: label `n_classes` is no class, for classifier-free guidance.
        widths: channels of each scale; the first is that of the folded image.
        layers: residual blocks a scale.
        attention: self-attention at the coarsest scale and in the middle.
        fold: px a side that are folded into channels.
        dropout: in the residual blocks.
    """

    def __init__(
        self,
        channels: int = 1,
        side: int = 28,
        n_classes: int = 10,
        widths: Sequence[int] = (48, 72, 96),
        layers: int = 2,
        attention: bool = False,
        fold: int = 2,
        dropout: float = 0.0,
    ):
        super().__init__()
        import_diffusers()
        from diffusers import UNet2DModel

        self.side, self.fold, self.n_classes = side, fold, n_classes
        step = fold * 2 ** (len(widths) - 1)
        self.padded = -(-side // step) * step
        plain = len(widths) - 1
        unet: Any = UNet2DModel(
            sample_size=self.padded // fold,
            in_channels=channels * fold**2,
            out_channels=channels * fold**2,
            block_out_channels=tuple(widths),
            layers_per_block=layers,
            down_block_types=("DownBlock2D",) * plain
            + ("AttnDownBlock2D" if attention else "DownBlock2D",),
            up_block_types=("AttnUpBlock2D" if attention else "UpBlock2D",)
            + ("UpBlock2D",) * plain,
            add_attention=attention,
            attention_head_dim=32,
            norm_num_groups=8,
            dropout=dropout,
            num_class_embeds=n_classes + 1,
        )
        self.unet = unet

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        # (B, C, S, S) in [-1, 1], (B,) int64, (B,) int64
        before = (self.padded - self.side) // 2
        after = self.padded - self.side - before
        x = F.pad(x, (before, after, before, after))
        x = F.pixel_unshuffle(x, self.fold)  # (B, C fold^2, S / fold, S / fold)
        x = self.unet(x, t, class_labels=label).sample
        x = F.pixel_shuffle(x, self.fold)
        return x[..., before : before + self.side, before : before + self.side]
