"""FastGAN (Liu et al. 2021): a light generator, and a critic of pixels that must also keep what it sees.

The critic's features are decoded to the real image, and those of a random quarter to that quarter, so that it learns
what all of an image holds and not only what tells few reals from fakes. Settings of the paper's code: batch 8, Adam
2e-4 (0.5, 0.999), one update of the critic for one of the generator, DiffAugment, hinge loss, 50,000 steps.

Ours, not the paper's: both classes in one network, with a projection critic (Miyato & Koyama 2018), and absolute
differences of pixels as the loss of the decoders instead of a perceptual distance, whose network the critic would then
have learned from: the projected GAN beside it shows what such features bring.
"""

import itertools
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from mammosynth.gans.fast_networks import FastBlock, FastGenerator, PatchScores
from mammosynth.gans.noise import NoiseGan


def _layer(inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    conv = spectral_norm(nn.Conv2d(inputs, outputs, size, stride, padding, bias=False))
    return [conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]


class FastDownBlock(nn.Module):
    """Halves height and width: the mean of two convolutions and of a pooled 1×1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(*_layer(inputs, outputs, 4, 2, 1), *_layer(outputs, outputs, 3, 1, 1))
        self.direct = nn.Sequential(nn.AvgPool2d(2), *_layer(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (self.main(x) + self.direct(x)) / 2


class Decoder(nn.Sequential):
    """Features [N, channels, 8, 8] to images [N, 1, 64, 64]."""

    def __init__(self, channels: int, width: int) -> None:
        steps = itertools.pairwise([channels, 4 * width, 2 * width, width])
        super().__init__(*(FastBlock(a, b) for a, b in steps), nn.Conv2d(width, 1, 3, padding=1), nn.Tanh())


class FastCritic(nn.Module):
    """Images [N, 1, 128, 128] and labels [N] to scores [N, 25], each of a part of the image.

    Channels at 64, 32, 16 and 8 px: 2, 4, 8, 16 times the width.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        first = nn.Sequential(spectral_norm(nn.Conv2d(1, 2 * width, 4, 2, padding=1)), nn.LeakyReLU(0.2))
        downs = (FastDownBlock(a * width, 2 * a * width) for a in (2, 4, 8))
        self.blocks = nn.ModuleList([first, *downs])
        self.mix = nn.Sequential(*_layer(16 * width, 16 * width, 1))
        self.last = PatchScores(16 * width, 4)
        self.whole, self.quarter = Decoder(16 * width, width), Decoder(8 * width, width)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features of 16×16 and of 8×8 positions."""
        for block in self.blocks:
            finer, images = images, block(images)
        return finer, images

    def judge(self, features: Tensor, labels: Tensor) -> Tensor:
        """The scores of images with these features of 8×8 positions."""
        return self.last(self.mix(features), labels)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.judge(self.features(images)[1], labels)

    def reconstruction(self, images: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        """Mean absolute difference of *images* at half size, and of a random quarter of them, from what is decoded."""
        row, column = torch.randint(0, 2, (2,)).tolist()
        quarter = images[:, :, 64 * row : 64 * row + 64, 64 * column : 64 * column + 64]
        part = fine[:, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        whole_loss = F.l1_loss(self.whole(coarse), F.avg_pool2d(images, 2))
        return whole_loss + F.l1_loss(self.quarter(part), quarter)


class FastGan(NoiseGan):
    """FastGAN, one conditional pair of networks."""

    betas = (0.5, 0.999)
    conditional = True
    generator_first = False

    def make_networks(self) -> None:
        self.generators["all"] = FastGenerator(self.settings.width)
        self.critics["all"] = FastCritic(self.settings.width)

    def critic_loss(self, name: str, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        critic = cast(FastCritic, self.critics[name])
        with self.autocast():
            fine, coarse = critic.features(real)
            real_scores, fake_scores = critic.judge(coarse, labels), critic(fake, labels)
            reconstruction = critic.reconstruction(real, fine, coarse)
        loss = self.critic_objective(real_scores, fake_scores) + reconstruction
        return loss + self.lecam(name, real_scores, fake_scores) + self.penalty(name, real, fake, labels)
