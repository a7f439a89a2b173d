"""The generator of Liu et al. 2021 ("Towards faster and stabilized GAN training for high-fidelity few-shot image
synthesis", FastGAN) at 128 px, for FastGAN itself and for the projected GAN, whose authors took it over.

Images are float [N, 1, 128, 128] in [−1, 1], latents float [N, 128], labels int64 [N] (0 benign, 1 malignant).

Ours, not the paper's:
- both classes in one network, by a bias of the first layer for each;
- a mean grey level and a contrast of each image's own, straight from the map of 4 px: ROIs differ in grey level more
  (mammography: SD 33 of 255) than they vary within (23), and layers with batch normalisation take long to learn either;
- bilinear upsampling to 128 px, as nearest neighbours leave a grid in dark areas; bilinear throughout, the first images
  are so smooth that the critic wins before the generator learns;
- no noise in the blocks, so that an image is its latent's alone.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from mammosynth.gans.networks import CLASS_COUNT, LATENT


def _gated(x: Tensor) -> Tensor:
    """Gated linear unit over channels.

    The gradient of F.glu is not channels-last, and batch normalisation on CPUs takes five times as long for it.
    """
    values, gates = (half.contiguous(memory_format=torch.channels_last) for half in x.chunk(2, 1))
    return values * gates.sigmoid()


class FastBlock(nn.Module):
    """Doubles height and width: upsampling, 3×3 convolution, batch normalisation, gated linear unit.

    mode: "nearest" or "bilinear".
    """

    def __init__(self, inputs: int, outputs: int, mode: str = "nearest") -> None:
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=2, mode=mode)
        self.conv = nn.Conv2d(inputs, 2 * outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        return _gated(self.norm(self.conv(self.upsample(x))))


class SkipExcitation(nn.Module):
    """Gates the channels of a high resolution by what a low resolution holds (skip-layer excitation)."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__()
        first, last = spectral_norm(nn.Conv2d(low, high, 4)), spectral_norm(nn.Conv2d(high, high, 1))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(4), first, nn.SiLU(), last, nn.Sigmoid())

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        return high * self.gate(low)


class FastGenerator(nn.Module):
    """Latents [N, 128] and labels [N] to images [N, 1, 128, 128].

    Channels at 4, 8, … 128 px: 16, 16, 8, 4, 2, 1 times the width; the map of 4 px gates that of 64 px, the map of 8 px
    that of 128 px.

    The paper's spectral normalisation is left out where batch normalisation follows, as there it changes nothing.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [16 * width, 16 * width, 8 * width, 4 * width, 2 * width, width]
        self.first = nn.Linear(LATENT, 2 * channels[0] * 4 * 4, bias=False)
        self.classes = nn.Embedding(CLASS_COUNT, 2 * channels[0] * 4 * 4)
        # Small beside a step of Adam; batch normalisation restores the scale.
        nn.init.normal_(self.first.weight, 0.0, 0.0064)
        nn.init.zeros_(self.classes.weight)
        self.norm = nn.BatchNorm2d(2 * channels[0])
        modes = ["nearest"] * 4 + ["bilinear"]
        self.blocks = nn.ModuleList(FastBlock(a, b, m) for (a, b), m in zip(itertools.pairwise(channels), modes))
        self.gates = nn.ModuleList([SkipExcitation(channels[0], channels[4]), SkipExcitation(channels[1], channels[5])])
        self.last = spectral_norm(nn.Conv2d(width, 1, 3, padding=1))
        self.tone = nn.Linear(channels[0] * 4 * 4, 2)  # grey level, and logarithm of contrast
        with torch.no_grad():  # images begin about as unlike each other as real ones are
            self.tone.weight *= torch.tensor([[0.7], [0.5]])
            self.tone.bias.copy_(torch.tensor([0.0, math.log(1.5)]))
        self._begin_statistics()

    @torch.no_grad()
    def _begin_statistics(self) -> None:
        """Begin the running statistics at those of a first batch; from 0 and 1 a short training does not get away."""
        norms = [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
        momentum = norms[0].momentum
        for norm in norms:
            norm.momentum = 1.0
        self(torch.randn(32, LATENT), torch.arange(32) % CLASS_COUNT)
        for norm in norms:
            norm.momentum = momentum

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        latents = F.normalize(latents, dim=1) * LATENT**0.5
        h = (self.first(latents) + self.classes(labels)).view(len(latents), -1, 4, 4)
        h4 = _gated(self.norm(h.contiguous(memory_format=torch.channels_last)))
        h8 = self.blocks[0](h4)
        h = self.blocks[2](self.blocks[1](h8))
        h = self.gates[0](h4, self.blocks[3](h))
        h = self.gates[1](h8, self.blocks[4](h))
        level, contrast = self.tone(h4.flatten(1))[:, :, None, None, None].unbind(1)
        return torch.tanh(self.last(h) * contrast.exp() + level)


class PatchScores(nn.Module):
    """Features [N, C, H, W] and labels [N] to scores float32 [N, positions], the last layer of a critic.

    A score is the sum of one for both classes and of one for the image's class: a projection critic (Miyato & Koyama
    2018) at each position.
    """

    def __init__(self, channels: int, size: int, padding: int = 0) -> None:
        super().__init__()
        self.conv = spectral_norm(nn.Conv2d(channels, 1 + CLASS_COUNT, size, padding=padding))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        maps = self.conv(x).float().flatten(2)
        return maps[:, 0] + maps[torch.arange(len(maps), device=maps.device), 1 + labels]
