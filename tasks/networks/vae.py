"""A class-conditional variational autoencoder of convolutions, with the DCGAN's latent interface.

Kingma and Welling 2014 (arXiv 1312.6114), conditional as Sohn, Lee, Yan 2015: the encoder gives the
distribution of a digit in latent space, the decoder generates it from there.
"""

from torch import Tensor, cat, nn


class ConditionalVAE(nn.Module):
    """Encoder q(z | x, y) and decoder p(x | z, y).

    Args:
        latent: length of z; unused dimensions stay at the prior.
        n_classes: length of y.
        width: channels at 14x14, doubled at 7x7.
    """

    def __init__(self, latent: int = 100, n_classes: int = 10, width: int = 32):
        super().__init__()
        self.latent, self.n_classes, self.width = latent, n_classes, width
        self.encoder = nn.Sequential(
            nn.Conv2d(1 + n_classes, width, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),  # (B, w, 14, 14)
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),  # (B, 2w, 7, 7)
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(49 * 2 * width, 2 * latent),
        )
        self.first = nn.Linear(latent + n_classes, 49 * 2 * width)
        self.decoder = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(inplace=True),  # (B, 2w, 7, 7)
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),  # (B, w, 14, 14)
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),  # (B, 1, 28, 28)
        )

    def encode(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        # x (B, 1, 28, 28) in [0, 1], y (B, n_classes)
        planes = y[:, :, None, None].expand(-1, -1, *x.shape[2:])  # (B, n_classes, 28, 28)
        mean, log_variance = self.encoder(cat([x, planes], 1)).chunk(2, 1)
        return mean, log_variance  # (B, latent) each

    def decode(self, z: Tensor, y: Tensor) -> Tensor:  # (B, latent), (B, n_classes)
        x = self.first(cat([z, y], 1)).unflatten(1, (2 * self.width, 7, 7))  # (B, 2w, 7, 7)
        return self.decoder(x)  # (B, 1, 28, 28) logits

    def forward(self, x: Tensor, y: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encode(x, y)
        z = mean + (0.5 * log_variance).exp() * eps  # (B, latent)
        return self.decode(z, y), mean, log_variance
