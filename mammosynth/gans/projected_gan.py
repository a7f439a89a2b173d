"""Projected GAN (Sauer et al. 2021): a critic of frozen ImageNet features instead of pixels.

Features of EfficientNet-Lite0, the paper's default, at strides 4, 8, 16 and 32; a fixed random 1×1 convolution mixes
the channels of each and fixed random 3×3 convolutions mix the scales; a small spectrally normalised critic of patches
judges each scale; hinge loss, one update of the critic for one of the generator, the generator of FastGAN.

Ours, not the paper's: grey images at their own 128 px, both classes in one network with a projection critic (Miyato &
Koyama 2018), and one batch of synthetic images for both updates. The critic learns from its features without a
gradient; the updated critic then judges the same features for the generator. The backbone, which does not change, sees
each image once.

And a fifth critic sees the image itself, at 16 px: features of ImageNet hardly tell grey level and contrast, so that
without it both drift, and the Fréchet distance rises again after a few hundred steps (benchmarks/README.md).

And each critic sees how much its features vary among four images (minibatch standard deviation; Karras et al. 2018), so
that images too alike are told from real ones.
"""

import itertools
import math
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from mammosynth.gans.fast_networks import FastGenerator, PatchScores
from mammosynth.gans.gan import Losses, Reals, frozen
from mammosynth.gans.networks import CLASS_COUNT
from mammosynth.gans.noise import NoiseGan
from mammosynth.gans.objectives import hinge_critic, linear_generator
from mammosynth.networks.efficientnet_lite0 import CHANNELS, load_maps

MIXED = (32, 32, 64, 64)  # channels of each scale after mixing
# Side of the image that a critic of its own sees, and the channels of each critic, fine to coarse, the image's last.
SIDE = 16
HEADS = ((32, 64, 128, 128), (32, 64, 128), (64, 128), (64,), (1, 64, 128))
GROUP = 4  # images among which features vary, as of Karras et al. 2018


class RandomProjections(nn.Module):
    """Mixes the channels of each scale and adds the coarser scales to the finer ones, at random and for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = nn.ModuleList(nn.Conv2d(a, b, 1, bias=False) for a, b in zip(CHANNELS, MIXED))
        self.scales = nn.ModuleList(
            nn.Conv2d(coarse, fine, 3, padding=1, bias=False) for fine, coarse in itertools.pairwise(MIXED)
        )
        for conv in (*self.channels, *self.scales):
            nn.init.kaiming_normal_(conv.weight)
        self.requires_grad_(False)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        mixed = [conv(x) for conv, x in zip(self.channels, features)]
        for index in reversed(range(len(self.scales))):
            coarse = F.interpolate(mixed[index + 1], scale_factor=2, mode="bilinear", align_corners=False)
            mixed[index] = mixed[index] + self.scales[index](coarse)
        return mixed


def with_spread(x: Tensor, group: int) -> Tensor:
    """Features [N, C, H, W] and one channel more: their standard deviation within each *group* of images in a row.

    It is the mean over channels and positions, the same at each position.  *group* divides N.
    """
    variance = x.float().unflatten(0, (-1, group)).var(1, unbiased=False)
    spread = (variance + 1e-8).sqrt().mean((1, 2, 3), keepdim=True)  # whose slope at 0 would be infinite
    return torch.cat([x, spread.repeat_interleave(group, 0).expand(-1, -1, *x.shape[2:]).to(x.dtype)], 1)


class PatchHead(nn.Module):
    """Critic of one scale: features to one score for each position of a map halved between each two *channels*.

    group: images in a row whose features it compares.
    """

    def __init__(self, *channels: int, group: int) -> None:
        super().__init__()
        self.group = group
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(channels):
            layers += [spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, padding=1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.last = PatchScores(channels[-1] + 1, 3, padding=1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.last(with_spread(self.layers(x), self.group), labels)


class ProjectedCritic(nn.Module):
    """Fixed projections and the heads; the frozen backbone is no part of it, as it is in its own file.

    ``see`` takes the backbone's features and the images, ``forward`` what that returns; scores [N, positions of all
    scales].  N is a multiple of *batch*, the images of one kind in a row.
    """

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.project = RandomProjections()
        self.heads = nn.ModuleList(PatchHead(*channels, group=math.gcd(batch, GROUP)) for channels in HEADS)

    def see(self, features: list[Tensor], images: Tensor) -> list[Tensor]:
        """What the heads judge: projected features, fine to coarse, and the images at 16 px."""
        return [*self.project(features), F.adaptive_avg_pool2d(images, SIDE)]

    def forward(self, maps: list[Tensor], labels: Tensor) -> Tensor:
        return torch.cat([head(x, labels) for head, x in zip(self.heads, maps)], 1)


class ProjectedGan(NoiseGan):
    """Projected GAN, one conditional pair of networks."""

    betas = (0.0, 0.99)
    conditional = True
    decay = 0.3

    def make_networks(self) -> None:
        self.generators["all"] = FastGenerator(self.settings.width)
        self.critics["all"] = ProjectedCritic(self.settings.batch)

    def start(self, device: torch.device, weights: Path | None = None) -> None:
        """As ``Gan.start``; *weights*: file of EfficientNet-Lite0, needed to train."""
        super().start(device, weights)
        if weights is not None:
            self.backbone = load_maps(weights, device, torch.bfloat16 if self.in_bfloat16 else torch.float32)

    def projected(self, images: Tensor) -> list[Tensor]:
        """Projected features of augmented images, fine to coarse, and the augmented images at 16 px."""
        images = self.augment(images)
        features = self.backbone(images)
        with self.autocast():
            return cast(ProjectedCritic, self.critics["all"]).see(features, images)

    def step(self, reals: Reals) -> Losses:
        critic = self.critics["all"]
        labels = self._labels(list(range(CLASS_COUNT)), self.settings.batch)
        with torch.no_grad():
            real = self.projected(reals.draw(labels))
        labels = labels.to(self.device, non_blocking=True)
        fake = self.projected(self._fakes("all", labels))

        self.critic_adam.zero_grad()
        with self.autocast():
            both = [torch.cat([a, b.detach()]) for a, b in zip(real, fake)]
            real_scores, fake_scores = critic(both, labels.repeat(2)).chunk(2)
        critic_loss = hinge_critic(real_scores, fake_scores) + self.lecam("all", real_scores, fake_scores)
        critic_loss.backward()
        self.critic_adam.step()

        self.generator_adam.zero_grad()
        with frozen(critic):
            with self.autocast():
                generator_loss = linear_generator(critic(fake, labels))
            generator_loss.backward()
        self.generator_adam.step()
        return {"all": {"d_loss": critic_loss.detach(), "g_loss": generator_loss.detach()}}
