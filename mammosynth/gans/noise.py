"""GANs that make images from noise: WGAN-GP, SNGAN and CGAN differ in little more than their losses."""

import numpy as np
import torch
from torch import Tensor

from mammosynth.gans.gan import Gan, Losses, Reals, frozen, synthetic_set, to_uint8
from mammosynth.gans.networks import LATENT, ResNetGenerator
from mammosynth.gans.objectives import hinge_critic, linear_generator
from mammosynth.imageset import CLASSES, ImageSet

SYNTHESIS_BATCH = 32


class NoiseGan(Gan):
    """A generator of noise and a critic of images, for both classes or, if not ``conditional``, one pair for each."""

    conditional = False
    memory_format = torch.channels_last
    generator_first = True  # whether the generator's update comes before its critic's
    generator_batches = 1  # the generator's batch, in batches of the critic

    critic_objective = staticmethod(hinge_critic)

    def make_generator(self, conditioning: str | None = None) -> ResNetGenerator:
        """The residual generator that these settings ask for."""
        return ResNetGenerator(self.settings.width, conditioning, self.settings.smooth_upsampling, self.settings.noise)

    def critic_loss(self, name: str, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        """The loss of critic *name* on real and fake images [N, 1, H, W] of the classes *labels* [N]."""
        with self.autocast():
            scores = self.critics[name](torch.cat([real, fake]), labels.repeat(2))
        scores = scores.float().split(len(real))
        return self.critic_objective(*scores) + self.lecam(name, *scores) + self.penalty(name, real, fake, labels)

    def penalty(self, name: str, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor | float:
        """What is added to the critic's loss for its slope; in single precision, as slopes are small differences."""
        return self.r1(lambda images: self.critics[name](images, labels), real)

    def score(self, name: str, images: Tensor, labels: Tensor) -> Tensor:
        """The scores of critic *name*, float32 [N]."""
        with self.autocast():
            return self.critics[name](images, labels).float()

    def _labels(self, classes: list[int], count: int) -> Tensor:
        return torch.tensor(classes).repeat(-(-count // len(classes)))[:count]

    def _fakes(self, name: str, labels: Tensor) -> Tensor:
        latents = torch.randn(len(labels), LATENT, device=self.device)
        with self.autocast():
            return self.generators[name](latents, labels).float()

    def _update_generator(self, name: str, classes: list[int]) -> Tensor:
        labels = self._labels(classes, self.generator_batches * self.settings.batch).to(self.device, non_blocking=True)
        fake = self._fakes(name, labels)
        loss = linear_generator(self.score(name, self.augment(fake), labels))
        loss.backward()
        return loss.detach()

    def _critic_gradients(self, name: str, classes: list[int], reals: Reals) -> Tensor:
        labels = self._labels(classes, self.settings.batch)
        real, labels = reals.draw(labels), labels.to(self.device, non_blocking=True)
        with torch.no_grad():
            fake = self._fakes(name, labels)
        loss = self.critic_loss(name, self.augment(real), self.augment(fake), labels)
        loss.backward()
        return loss.detach()

    def _generator_step(self, losses: Losses) -> None:
        self.generator_adam.zero_grad()
        with frozen(self.critics):
            for name, classes in self.names():
                losses[name]["g_loss"] = self._update_generator(name, classes)
        self.generator_adam.step()

    def _critic_step(self, losses: Losses, reals: Reals) -> None:
        self.critic_adam.zero_grad()
        for name, classes in self.names():
            losses[name]["d_loss"] = self._critic_gradients(name, classes, reals)
        self.critic_adam.step()
        self.update += 1

    def step(self, reals: Reals) -> Losses:
        losses: Losses = {name: {} for name, _ in self.names()}
        if self.generator_first:
            self._generator_step(losses)
        for _ in range(self.settings.critic_steps):
            self._critic_step(losses, reals)
        if not self.generator_first:
            self._generator_step(losses)
        return losses

    @torch.no_grad()
    def synthesise(self, per_class: int, reals: ImageSet, seed: int) -> ImageSet:
        images: list[np.ndarray] = []
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            for name, classes in self.names():
                for label in classes:
                    for latents in torch.randn(per_class, LATENT).split(SYNTHESIS_BATCH):
                        labels = torch.full((len(latents),), label, device=self.device)
                        images.extend(to_uint8(self.average[name](latents.to(self.device), labels)))
        return synthetic_set(images, [label for label in range(len(CLASSES)) for _ in range(per_class)])
