"""A class-conditional DCGAN: a generator of digits from noise, and a discriminator.

Radford, Metz, Chintala 2016 (arXiv 1511.06434): strided convolutions instead of pooling, batch
norm, ReLU and tanh in the generator, LeakyReLU 0.2 in the discriminator. The class enters the
generator beside the noise, and the discriminator by projection (Miyato and Koyama 2018, arXiv
1802.05637); spectral norm is Miyato et al.'s of 2018.
"""

from torch import Tensor, cat, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations


class DCGenerator(nn.Module):
    """Noise and class -> digits.

    Args:
        latent: length of z.
        n_classes: length of y.
        widths: channels at 4x4, 7x7 and 14x14.
    """

    def __init__(
        self, latent: int = 100, n_classes: int = 10, widths: tuple[int, int, int] = (160, 96, 64)
    ):
        super().__init__()
        w1, w2, w3 = widths
        self.latent, self.n_classes = latent, n_classes
        self.first = nn.ConvTranspose2d(latent + n_classes, w1, 4, bias=False)
        self.body = nn.Sequential(
            nn.BatchNorm2d(w1),
            nn.ReLU(inplace=True),  # (B, w1, 4, 4)
            nn.ConvTranspose2d(w1, w2, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(w2),
            nn.ReLU(inplace=True),  # (B, w2, 7, 7)
            nn.ConvTranspose2d(w2, w3, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(w3),
            nn.ReLU(inplace=True),  # (B, w3, 14, 14)
            nn.ConvTranspose2d(w3, 1, 4, stride=2, padding=1),
            nn.Tanh(),  # (B, 1, 28, 28)
        )
        self.apply(_init_weights)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        # z (B, latent) standard normal, y (B, n_classes) sums to 1
        x = cat([z, y], 1)[:, :, None, None]  # (B, latent + n_classes, 1, 1)
        x = self.first(x)  # (B, w1, 4, 4)
        return self.body(x)  # (B, 1, 28, 28) in [-1, 1]


class DCDiscriminator(nn.Module):
    """A digit and a class -> logit that it is real.

    Args:
        n_classes: length of y.
        widths: channels at 14x14, 7x7 and 4x4.
        norm: "batch" as Radford et al., "spectral", or "none", as which a spectral one is stored.
    """

    def __init__(
        self, n_classes: int = 10, widths: tuple[int, int, int] = (48, 96, 192), norm: str = "batch"
    ):
        super().__init__()
        w1, w2, w3 = widths
        wrap = spectral_norm if norm == "spectral" else _same
        batch_norm = nn.BatchNorm2d if norm == "batch" else _nothing
        self.body = nn.Sequential(
            wrap(nn.Conv2d(1, w1, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),  # (B, w1, 14, 14)
            wrap(nn.Conv2d(w1, w2, 4, stride=2, padding=1)),
            batch_norm(w2),
            nn.LeakyReLU(0.2),  # (B, w2, 7, 7)
            wrap(nn.Conv2d(w2, w3, 3, stride=2, padding=1)),
            batch_norm(w3),
            nn.LeakyReLU(0.2),  # (B, w3, 4, 4)
            nn.Flatten(),
        )
        # score of any digit, then what each class adds (projection)
        self.head = wrap(nn.Linear(16 * w3, 1 + n_classes))
        self.apply(_init_weights)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        # x (B, 1, 28, 28) in [-1, 1], y (B, n_classes) sums to 1
        scores = self.head(self.body(x))  # (B, 1 + n_classes)
        return scores[:, 0] + (y * scores[:, 1:]).sum(1)  # (B,)

    def bake(self) -> "DCDiscriminator":
        """Divide the kernels by their spectral norms; the network is then that of `norm="none"`."""
        for module in self.modules():
            if is_parametrized(module):
                remove_parametrizations(module, "weight")
        return self


class DCGAN(nn.Module):
    """Generator and discriminator; arguments as theirs."""

    def __init__(
        self,
        latent: int = 100,
        n_classes: int = 10,
        generator_widths: tuple[int, int, int] = (160, 96, 64),
        discriminator_widths: tuple[int, int, int] = (48, 96, 192),
        norm: str = "batch",
    ):
        super().__init__()
        self.generator = DCGenerator(latent, n_classes, generator_widths)
        self.discriminator = DCDiscriminator(n_classes, discriminator_widths, norm)


class GeneratorHistory(nn.Module):
    """The same generator after each of some training steps."""

    def __init__(
        self,
        steps: tuple[int, ...] = (1,),
        latent: int = 100,
        n_classes: int = 10,
        widths: tuple[int, int, int] = (160, 96, 64),
    ):
        super().__init__()
        self.steps = tuple(steps)
        self.generators = nn.ModuleList(DCGenerator(latent, n_classes, widths) for _ in steps)


def _same(module: nn.Module) -> nn.Module:
    return module


def _nothing(channels: int) -> nn.Module:
    return nn.Identity()


def _init_weights(module: nn.Module) -> None:
    """Kernels from N(0, 0.02), scales of batch norm from N(1, 0.02), as Radford et al."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        if not is_parametrized(module):
            nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
