"""CycleGAN (Zhu et al. 2017): translates benign masses to malignant ones and back, learned without pairs.

Settings of the paper's code: width 64, batch 1, Adam 2e-4 (0.5, 0.999), constant for the first half of training and
linear to 0 over the second, cycle weight 10, identity weight 5, critics that look at a pool of 50 earlier translations,
random horizontal flips.

A synthetic malignant image is the translation of a real benign training image, and keeps its id as ``sources``.  A
source gives one translation: when more are wanted than there are sources, the sources come again, mirrored, and then
repeatedly.
"""

import itertools
from functools import reduce
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mammosynth.gans.gan import Gan, Losses, Reals, frozen, synthetic_set, to_uint8
from mammosynth.gans.networks import PatchCritic, TranslationGenerator
from mammosynth.gans.objectives import least_squares_critic, least_squares_generator
from mammosynth.imageset import CLASSES, ImageSet

CYCLE_WEIGHT, IDENTITY_WEIGHT = 10.0, 5.0
POOL = 50
SYNTHESIS_BATCH = 16


class ImagePool(nn.Module):
    """Earlier translations: a critic sees one of them in place of half of the new ones (Shrivastava et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[Tensor] = []

    def exchange(self, images: Tensor) -> Tensor:
        """Keep *images* [N, 1, H, W] and return as many, each new or, with probability ½ once the pool is full, old."""
        chosen = []
        for image in images:
            if len(self.images) < POOL:
                self.images.append(image.clone())
                chosen.append(image)
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(POOL, ()))
                chosen.append(self.images[place].to(image.device, non_blocking=True))  # a checkpoint is read to the CPU
                self.images[place] = image.clone()
            else:
                chosen.append(image)
        return torch.stack(chosen)

    def get_extra_state(self) -> list[Tensor]:
        return self.images

    def set_extra_state(self, state: list[Tensor]) -> None:
        self.images = list(state)


def _sum(losses: list[Tensor]) -> Tensor:
    return reduce(torch.add, losses)


class CycleGan(Gan):
    """Two generators and two critics, named by the class that they make or judge."""

    betas = (0.5, 0.999)
    memory_format = torch.channels_last
    decay = 0.5

    def make_networks(self) -> None:
        for name in CLASSES:
            self.generators[name] = TranslationGenerator(self.settings.width, smooth=self.settings.smooth_upsampling)
            self.critics[name] = PatchCritic(self.settings.width)
        self.pools = nn.ModuleDict({name: ImagePool() for name in CLASSES})

    def _generator_losses(self, real: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        adversarial, cycle, identity = [], [], []
        fakes = {}
        for target, source in itertools.permutations(CLASSES):
            with self.autocast():
                # Instance normalisation keeps images apart, so that one pass serves translation and identity.
                made = self.generators[target](torch.cat([real[source], real[target]]))
                fake, same = made.split(len(real[source]))
                score = self.critics[target](self.augment(fake))
                back = self.generators[source](fake)
            adversarial.append(least_squares_generator(score.float()))
            cycle.append(F.l1_loss(back.float(), real[source]))
            identity.append(F.l1_loss(same.float(), real[target]))
            fakes[target] = fake.float().detach()
        sums = {"adversarial": _sum(adversarial), "cycle_loss": _sum(cycle), "identity_loss": _sum(identity)}
        return sums, fakes

    def critic_blocks(self, critic: nn.Module) -> list[nn.Module]:
        return [layer for layer in critic.children() if isinstance(layer, nn.Conv2d)]

    def _score(self, name: str, images: Tensor) -> Tensor:
        with self.autocast():
            return self.critics[name](images).float()

    def step(self, reals: Reals) -> Losses:
        real = {}
        for label, name in enumerate(CLASSES):
            real[name] = reals.draw(torch.full((self.settings.batch,), label))

        self.generator_adam.zero_grad()
        with frozen(self.critics):
            sums, fakes = self._generator_losses(real)
            g_loss = (
                sums.pop("adversarial") + CYCLE_WEIGHT * sums["cycle_loss"] + IDENTITY_WEIGHT * sums["identity_loss"]
            )
            g_loss.backward()
        self.generator_adam.step()

        self.critic_adam.zero_grad()
        d_losses = []
        for name in CLASSES:
            new, old = self.augment(real[name]), self.augment(cast(ImagePool, self.pools[name]).exchange(fakes[name]))
            scores = self._score(name, torch.cat([new, old])).split(len(old))
            penalty = self.lecam(name, *scores) + self.r1(self.critics[name], new)
            d_losses.append(least_squares_critic(*scores) + penalty)
        d_loss = _sum(d_losses)
        d_loss.backward()
        self.critic_adam.step()
        losses = {"d_loss": d_loss, "g_loss": g_loss, **sums}
        return {"all": {name: loss.detach() for name, loss in losses.items()}}

    @torch.no_grad()
    def synthesise(self, per_class: int, reals: ImageSet, seed: int) -> ImageSet:
        order = np.random.default_rng(seed)
        images: list[np.ndarray] = []
        labels: list[int] = []
        ids: list[str] = []
        for label, name in enumerate(CLASSES):
            source = reals.of_class(CLASSES[1 - label])
            index = np.resize(order.permutation(len(source)), per_class)
            mirrored = (np.arange(per_class) // len(source)) % 2 == 1
            pixels = np.where(mirrored[:, None, None], source.images[index][:, :, ::-1], source.images[index])
            for batch in torch.from_numpy(pixels)[:, None].split(SYNTHESIS_BATCH):
                images.extend(to_uint8(self.average[name](batch.to(self.device).float() / 127.5 - 1)))
            labels.extend([label] * per_class)
            ids.extend(source.ids[index])
        return synthetic_set(images, labels, ids)
