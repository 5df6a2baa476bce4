"""A U-Net on latents that is told by words what to draw, and shows where each word acts.

Latent diffusion (Rombach et al. 2022, arXiv 2112.10752) by rectified flow (Liu et al. 2022, arXiv
2209.03003): at time t the latent is x_t = (1 - t) x_0 + t eps, and the network gives v = eps - x_0.
A word is a vector of a dictionary; a transformer layer lets the words of a caption read each other.
Each word brings a small canvas, a map of what it may add at every position, and at every position
an attention over the words decides which canvases count. That attention is the map of a word
(Tang et al. 2022, arXiv 2210.04885).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.networks.latent_autoencoder import LatentAutoencoder

GRID = 8  # positions a side, of the latent behind pixel_unshuffle
COPIES = 3  # of a canvas at most


class AdaptiveBlock(nn.Module):
    """A residual block whose second norm is scaled and shifted by the time and the caption."""

    def __init__(self, in_width: int, width: int, condition: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(8, in_width)
        self.conv1 = nn.Conv2d(in_width, width, 3, padding=1)
        self.modulation = nn.Linear(condition, 2 * width)
        self.norm2 = nn.GroupNorm(8, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.skip = nn.Identity() if in_width == width else nn.Conv2d(in_width, width, 1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))  # (B, width, H, W)
        scale, shift = self.modulation(condition)[..., None, None].chunk(2, 1)
        h = F.silu(self.norm2(h) * (1 + scale) + shift)
        return self.skip(x) + self.conv2(h)


class CanvasAttention(nn.Module):
    """At every position an attention over the words; what is added are the words' canvases.

    A further key stands for no word.
    """

    def __init__(self, width: int, states: int, canvas: int, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, width)
        self.position = nn.Parameter(torch.randn(width, GRID, GRID) * 0.02)
        self.query = nn.Conv2d(width, heads * 16, 1)
        self.key = nn.Linear(states, heads * 16)
        self.no_word = nn.Parameter(torch.zeros(heads, 16))
        self.out = nn.Conv2d(canvas, width, 1)

    def forward(
        self, x: Tensor, states: Tensor, canvas: Tensor, absent: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        # (B, width, 8, 8), (B, T, states), (B, T, canvas, 64), (B, T) bool, (B, T)
        b, t = absent.shape
        q = self.query(self.norm(x) + self.position).view(b, self.heads, 16, GRID * GRID)
        k = self.key(states).view(b, t, self.heads, 16).transpose(1, 2)  # (B, h, T, 16)
        k = torch.cat([k, self.no_word[:, None].expand(b, -1, -1, -1)], 2)
        scores = k @ q / 4  # (B, h, T + 1, 64)
        bias = torch.zeros(b, t + 1, device=x.device, dtype=x.dtype)
        bias[:, :t] = weight.clamp_min(1e-4).log().masked_fill(absent, -1e4)
        maps = (scores + bias[:, None, :, None]).softmax(2)[:, :, :t]  # (B, h, T, 64)
        values = canvas.view(b, t, self.heads, -1, GRID * GRID)
        mixed = torch.einsum("bhtp,bthcp->bhcp", maps, values).reshape(b, -1, GRID, GRID)
        return x + self.out(mixed), maps.mean(1)


class WordAttention(nn.Module):
    """Attention of 4 x 4 positions to themselves and to the words."""

    def __init__(self, width: int, states: int, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, width)
        self.position = nn.Parameter(torch.randn(width, GRID // 2, GRID // 2) * 0.02)
        self.query_key_value = nn.Conv2d(width, 3 * width, 1)
        self.words = nn.Linear(states, 2 * width)
        self.out = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, states: Tensor, absent: Tensor, weight: Tensor) -> Tensor:
        b, width, h, w = x.shape
        q, k, v = (
            part.reshape(b, self.heads, -1, h * w).transpose(2, 3)
            for part in self.query_key_value(self.norm(x) + self.position).chunk(3, 1)
        )  # (B, h, 16, width / heads) each
        word_k, word_v = (
            part.view(b, states.shape[1], self.heads, -1).transpose(1, 2)
            for part in self.words(states).chunk(2, 2)
        )
        bias = torch.zeros(b, 1, 1, h * w + states.shape[1], device=x.device, dtype=x.dtype)
        bias[:, 0, 0, h * w :] = weight.clamp_min(1e-4).log().masked_fill(absent, -1e4)
        mixed = F.scaled_dot_product_attention(
            q, torch.cat([k, word_k], 2), torch.cat([v, word_v], 2), attn_mask=bias
        )
        return x + self.out(mixed.transpose(2, 3).reshape(b, width, h, w))


class Placement(nn.Module):
    """Where a word's canvas comes to lie: up to three copies, each scaled, mirrored and shifted.

    A spatial transformer (Jaderberg et al. 2015, arXiv 1506.02025) that reads the caption: "two"
    makes copies, "left of" moves to a side. It starts as one copy that stays where it is.
    """

    def __init__(self, states: int, canvas: int, copies: int = COPIES):
        super().__init__()
        self.copies, self.canvas = copies, canvas
        self.first = nn.Linear(states, states)
        self.second = nn.Linear(states, 5 * copies)
        nn.init.zeros_(self.second.weight)
        with torch.no_grad():
            # in units of half a side: two slopes and two offsets, from a place in the image to
            # the place on the canvas; and whether there is such a copy
            as_it_is = torch.tensor([1.0, 1.0, 0.0, 0.0, -5.0]).repeat(copies, 1)
            as_it_is[0, 4] = 5.0
            self.second.bias.copy_(as_it_is.flatten())

    def forward(self, states: Tensor) -> Tensor:  # (B, T, states) -> (B, T, copies, 5)
        placed = self.second(F.gelu(self.first(states))).unflatten(2, (self.copies, 5))
        return torch.cat([placed[..., :4], placed[..., 4:].sigmoid()], 3)

    def move(self, canvas: Tensor, placed: Tensor) -> Tensor:
        """The copies laid over each other: canvas (B, T, C, 64) -> the same shape."""
        b, t, c, _ = canvas.shape
        fine = F.pixel_shuffle(canvas.reshape(b * t, c, GRID, GRID), 2)  # (BT, C / 4, 16, 16)
        slope_x, slope_y, x, y, there = placed.reshape(b * t, self.copies, 5).unbind(2)
        columns = self.sampling(slope_x, x).transpose(2, 3)
        rows = self.sampling(slope_y, y) * there[..., None, None]
        moved = rows[:, :, None] @ fine[:, None] @ columns[:, :, None]  # (BT, copies, C / 4, ...)
        return F.pixel_unshuffle(moved.sum(1), 2).reshape(b, t, c, -1)

    @staticmethod
    def sampling(slope: Tensor, offset: Tensor) -> Tensor:
        """(..., 16, 16): of which places of the canvas a place of the image is the mean.

        A triangle as wide as the canvas is made smaller, so that nothing of it is skipped.
        """
        n = 2 * GRID
        places = torch.arange(n, device=slope.device)
        image = (2 * places + 1) / n - 1  # in (-1, 1)
        source = ((slope[..., None] * image + offset[..., None] + 1) * n - 1) / 2  # (..., 16)
        width = slope.abs().clamp_min(1)[..., None, None]
        return F.relu(1 - (source[..., None] - places).abs() / width) / width


class Dictionary(nn.Module):
    """Words to vectors and canvases.

    Args:
        n_concepts: what a word can mean; concept 0 is the empty caption.
        n_roles: what it can do in a caption.
    """

    def __init__(self, n_concepts: int, n_roles: int, states: int, canvas: int):
        super().__init__()
        self.concept = nn.Embedding(n_concepts, states)
        self.role = nn.Embedding(n_roles, states)
        self.reading = nn.TransformerEncoderLayer(
            states, 4, 2 * states, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.gate = nn.Linear(states, 2 * states)
        self.first = nn.Linear(states, 2 * states)
        self.second = nn.Linear(2 * states, canvas * GRID * GRID)
        self.direct = nn.Linear(states, canvas * GRID * GRID, bias=False)
        self.canvas = canvas
        self.placement = Placement(states, canvas)
        nn.init.normal_(self.concept.weight, std=0.5)
        nn.init.normal_(self.role.weight, std=0.5)
        nn.init.zeros_(self.gate.weight)
        nn.init.ones_(self.gate.bias)
        nn.init.zeros_(self.direct.weight)

    @torch.no_grad()
    def from_images(self, first: int, latents: Tensor) -> None:
        """Start the vectors of the concepts from `first` on as principal components of images.

        latents: (n, 16, 8, 8), one image a concept. Without it a word of which a training sees a
        hundred images would need them all to learn what it looks like at all.
        """
        flat = latents.flatten(1)
        n = min(self.concept.embedding_dim, *flat.shape)
        centre = flat.mean(0)
        left, values, basis = torch.linalg.svd(flat - centre, full_matrices=False)
        spread = values[:n] / len(flat) ** 0.5  # deviation of each component
        gain = spread.sqrt() * 0.5 / spread.sqrt().square().mean().sqrt()
        vectors = left[:, :n] * len(flat) ** 0.5 * gain
        self.concept.weight[first : first + len(flat), :n] = vectors
        self.concept.weight[first : first + len(flat), n:] = 0
        to_canvas = basis[:n] * (spread / gain)[:, None]  # (n, 16 * 64)
        self.direct.weight[: flat.shape[1], :n] = to_canvas.T

    def forward(self, ids: Tensor, roles: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Concepts and roles, int64 (B, T); concepts are negative where there is no word.

        Returns:
            states (B, T, states), canvases (B, T, canvas, 64), absent bool (B, T), and where the
            canvases lie, (B, T, copies, 5) as of `Placement`.
        """
        meaning = self.concept(ids.clamp_min(0))  # (B, T, states)
        absent = ids < 0
        states = self.reading(meaning + self.role(roles), src_key_padding_mask=absent)
        hidden = F.gelu(self.first(meaning) * self.gate(states))
        canvas = self.second(hidden) / 4 + self.direct(meaning)
        with torch.autocast(states.device.type, enabled=False):  # places need more than bf16
            placed = self.placement(states.float())
        canvas = self.placement.move(canvas.unflatten(2, (self.canvas, GRID * GRID)), placed)
        return states, canvas, absent, placed


def time_embedding(t: Tensor, width: int) -> Tensor:
    """Sines and cosines of t in [0, 1], (B,) -> (B, width)."""
    rates = torch.exp(-math.log(1e4) * torch.arange(width // 2, device=t.device) / (width // 2))
    angles = 1000 * t[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


class WordUNet(nn.Module):
    """Args:
    channels: of the latent.
    widths: channels at 8 x 8 and at 4 x 4 positions.
    states: length of a word's vector.
    canvas: channels of a word's canvas.
    """

    def __init__(
        self,
        channels: int = 4,
        widths: Sequence[int] = (128, 160),
        states: int = 256,
        canvas: int = 32,
    ):
        super().__init__()
        wide, deep = widths
        self.folded, condition = 4 * channels, 2 * wide
        self.time = nn.Sequential(nn.Linear(wide, condition), nn.SiLU())
        self.caption = nn.Linear(states, condition)
        self.first = nn.Conv2d(self.folded, wide, 3, padding=1)
        self.down1 = AdaptiveBlock(wide, wide, condition)
        self.words1 = CanvasAttention(wide, states, canvas)
        self.down2 = AdaptiveBlock(wide, wide, condition)
        self.halve = nn.Conv2d(wide, deep, 3, stride=2, padding=1)
        self.deep1 = AdaptiveBlock(deep, deep, condition)
        self.attention1 = WordAttention(deep, states)
        self.deep2 = AdaptiveBlock(deep, deep, condition)
        self.attention2 = WordAttention(deep, states)
        self.deep3 = AdaptiveBlock(2 * deep, deep, condition)
        self.unfold = nn.Conv2d(deep, 4 * wide, 1)  # and pixel_shuffle
        self.up1 = AdaptiveBlock(2 * wide, wide, condition)
        self.words2 = CanvasAttention(wide, states, canvas)
        self.up2 = AdaptiveBlock(2 * wide, wide, condition)
        self.norm = nn.GroupNorm(8, wide)
        self.last = nn.Conv2d(wide, self.folded, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        self.wide, self.states, self.canvas = wide, states, canvas

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        states: Tensor,
        canvas: Tensor,
        absent: Tensor,
        weight: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """x_t, t and what the dictionary gave for the caption -> v and the words' maps.

        Args:
            weight: (B, T), factor of each word's attention; None: 1.
        Returns:
            v (B, C, 16, 16), maps (B, T, 8, 8): share of each word's attention at each position.
        """
        # (B, C, 16, 16), (B,), (B, T, states), (B, T, canvas, 64), (B, T)
        weight = torch.ones_like(absent, dtype=x.dtype) if weight is None else weight
        there = (weight * ~absent)[..., None]
        pooled = (states * there).sum(1) / there.sum(1).clamp_min(1e-4)
        c = self.time(time_embedding(t, self.wide)) + self.caption(pooled)
        c = F.silu(c)
        x = self.first(F.pixel_unshuffle(x, 2))  # (B, wide, 8, 8)
        a = self.down1(x, c)
        a, maps1 = self.words1(a, states, canvas, absent, weight)
        b = self.down2(a, c)
        d = self.deep1(self.halve(b), c)  # (B, deep, 4, 4)
        d = self.attention1(d, states, absent, weight)
        e = self.deep2(d, c)
        e = self.attention2(e, states, absent, weight)
        e = self.deep3(torch.cat([e, d], 1), c)
        up = F.pixel_shuffle(self.unfold(e), 2)  # (B, wide, 8, 8)
        up = self.up1(torch.cat([up, b], 1), c)
        up, maps2 = self.words2(up, states, canvas, absent, weight)
        up = self.up2(torch.cat([up, a], 1), c)
        v = F.pixel_shuffle(self.last(F.silu(self.norm(up))), 2)  # (B, C, 16, 16)
        return v, ((maps1 + maps2) / 2).unflatten(2, (GRID, GRID))


class TextModel(nn.Module):
    """What is trained together: the dictionary and the U-Net that draws by it.

    Args:
        n_concepts, n_roles: of the dictionary.
        unet: as WordUNet.
    """

    def __init__(self, n_concepts: int, n_roles: int, **unet: Any):
        super().__init__()
        self.unet = WordUNet(**unet)
        self.dictionary = Dictionary(n_concepts, n_roles, self.unet.states, self.unet.canvas)

    def forward(self, x: Tensor, t: Tensor, ids: Tensor, roles: Tensor) -> tuple[Tensor, Tensor]:
        """x_t, t and the caption's words -> v as WordUNet, and where the words' canvases lie."""
        *caption, placed = self.dictionary(ids, roles)
        v, _ = self.unet(x, t, *caption)
        return v, placed


class TextReader(nn.Module):
    """What lies beside the U-Net: the dictionary, the autoencoder and the names of the things.

    Args:
        names_bytes: length of the names, compressed JSON (`captions.Vocabulary`).
        dictionary, autoencoder: arguments of theirs.
    """

    def __init__(self, names_bytes: int, dictionary: dict[str, int], autoencoder: dict[str, int]):
        super().__init__()
        self.dictionary = Dictionary(**dictionary)
        self.autoencoder = LatentAutoencoder(**autoencoder)
        self.register_buffer("names", torch.zeros(names_bytes, dtype=torch.uint8))
        self.names: Tensor
