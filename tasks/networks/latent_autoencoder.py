"""A KL autoencoder of small images, 64x64x3 <-> 16x16x4 (Rombach et al. 2022, arXiv 2112.10752).

Encoder and decoder are a linear map of patches plus convolutions: they start as a principal
component analysis of 8 x 8 patches (`from_patches`), and the convolutions learn what it misses.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH = 8  # px; a patch is 2 x 2 positions of 4 channels


class ResidualBlock(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class LatentAutoencoder(nn.Module):
    """Args:
    channels: of the latent.
    encoder_width, decoder_width: channels at 16 x 16.
    fine_width: channels at 32 x 32, of the decoder.
    """

    def __init__(
        self,
        channels: int = 4,
        encoder_width: int = 64,
        decoder_width: int = 96,
        fine_width: int = 32,
    ):
        super().__init__()
        self.channels = channels
        self.analysis = nn.Linear(3 * PATCH**2, 4 * channels)
        self.synthesis = nn.Linear(4 * channels, 3 * PATCH**2)
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),  # (B, 48, 16, 16)
            nn.Conv2d(48, encoder_width, 3, padding=1),
            ResidualBlock(encoder_width),
            nn.GroupNorm(8, encoder_width),
            nn.SiLU(),
            nn.Conv2d(encoder_width, 2 * channels, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(channels, decoder_width, 3, padding=1),
            ResidualBlock(decoder_width),
            nn.GroupNorm(8, decoder_width),
            nn.SiLU(),
            nn.Conv2d(decoder_width, 4 * fine_width, 3, padding=1),
            nn.PixelShuffle(2),  # (B, fine, 32, 32)
            nn.SiLU(),
            nn.Conv2d(fine_width, fine_width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(fine_width, 12, 3, padding=1),
            nn.PixelShuffle(2),  # (B, 3, 64, 64)
        )
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std", torch.ones(1, channels, 1, 1))
        self.mean: Tensor
        self.std: Tensor

    @torch.no_grad()
    def from_patches(self, images: Tensor) -> None:
        """Start as the principal component analysis of patches. images: (N, 3, 64, 64)."""
        patches = F.pixel_unshuffle(images, PATCH).permute(0, 2, 3, 1).flatten(0, 2)
        centre = patches.mean(0)
        _, values, basis = torch.pca_lowrank(patches - centre, 4 * self.channels, center=False)
        scale = values[0] / len(patches) ** 0.5
        self.analysis.weight.copy_(basis.T / scale)
        self.analysis.bias.copy_(-(basis.T @ centre) / scale)
        self.synthesis.weight.copy_(basis * scale)
        self.synthesis.bias.copy_(centre)
        for network in (self.encoder, self.decoder):
            last = [m for m in network if isinstance(m, nn.Conv2d)][-1]
            last.weight.zero_()
            assert last.bias is not None
            last.bias.zero_()

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:  # (B, 3, 64, 64) in [-1, 1]
        patches = F.pixel_unshuffle(x, PATCH).permute(0, 2, 3, 1)  # (B, 8, 8, 192)
        coarse = self.analysis(patches).permute(0, 3, 1, 2)  # (B, 16, 8, 8)
        mean, log_variance = self.encoder(x).chunk(2, 1)
        mean = mean + F.pixel_shuffle(coarse, 2)
        return mean, (log_variance - 5).clamp(-12, 2)  # (B, 4, 16, 16) each

    def decode_raw(self, z: Tensor) -> Tensor:  # (B, 4, 16, 16)
        coarse = F.pixel_unshuffle(z, 2).permute(0, 2, 3, 1)  # (B, 8, 8, 16)
        patches = self.synthesis(coarse).permute(0, 3, 1, 2)  # (B, 192, 8, 8)
        return F.pixel_shuffle(patches, PATCH) + self.decoder(z)  # (B, 3, 64, 64)

    def encode(self, x: Tensor) -> Tensor:
        """(B, 3, 64, 64) in [-1, 1] -> latent of unit variance, (B, 4, 16, 16)."""
        return (self.moments(x)[0] - self.mean) / self.std

    def decode(self, z: Tensor) -> Tensor:
        """Latent of unit variance -> (B, 3, 64, 64) in [-1, 1]."""
        return self.decode_raw(z * self.std + self.mean).clamp(-1, 1)

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.moments(x)
        z = mean + (0.5 * log_variance).exp() * noise
        return self.decode_raw(z), mean, log_variance
