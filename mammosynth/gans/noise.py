"""GANs that make images from noise: WGAN-GP, SNGAN and CGAN differ in little more than their losses."""

from collections.abc import Iterator

import torch
from torch import Tensor

from mammosynth.gans.gan import Gan, Losses, Reals, frozen, synthetic_set, to_uint8
from mammosynth.gans.networks import LATENT
from mammosynth.gans.objectives import linear_generator
from mammosynth.imageset import CLASSES, ImageSet

SYNTHESIS_BATCH = 32


class NoiseGan(Gan):
    """A generator of noise and a critic of images, for both classes or, if not ``conditional``, one pair for each."""

    memory_format = torch.channels_last
    conditional = False
    generator_first = True  # whether the generator's update comes before its critic's
    generator_batches = 1  # the generator's batch, in batches of the critic

    def critic_loss(self, name: str, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        """The loss of critic *name* on real and fake images [N, 1, H, W] of the classes *labels* [N]."""
        raise NotImplementedError

    def scores(self, name: str, real: Tensor, fake: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The critic's scores [N] of real and of fake images, in one pass."""
        with self.autocast():
            scores = self.critics[name](torch.cat([real, fake]), labels.repeat(2))
        return scores.float().split(len(real))

    def names(self) -> Iterator[tuple[str, list[int]]]:
        """Name and classes of each pair of networks."""
        if self.conditional:
            yield "all", list(range(len(CLASSES)))
        else:
            yield from ((name, [label]) for label, name in enumerate(CLASSES))

    def _labels(self, classes: list[int], count: int) -> Tensor:
        return torch.tensor(classes).repeat(-(-count // len(classes)))[:count]

    def _fakes(self, name: str, labels: Tensor) -> Tensor:
        latents = torch.randn(len(labels), LATENT, device=self.device)
        with self.autocast():
            return self.generators[name](latents, labels).float()

    def _update_generator(self, name: str, classes: list[int]) -> Tensor:
        labels = self._labels(classes, self.generator_batches * self.settings.batch).to(self.device)
        fake = self._fakes(name, labels)
        with self.autocast():
            scores = self.critics[name](fake, labels).float()
        loss = linear_generator(scores)
        loss.backward()
        return loss.detach()

    def _critic_gradients(self, name: str, classes: list[int], reals: Reals) -> Tensor:
        labels = self._labels(classes, self.settings.batch)
        real, labels = reals.draw(labels), labels.to(self.device)
        with torch.no_grad():
            fake = self._fakes(name, labels)
        loss = self.critic_loss(name, real, fake, labels)
        loss.backward()
        return loss.detach()

    def _generator_step(self, losses: Losses) -> None:
        self.generator_adam.zero_grad(set_to_none=True)
        with frozen(self.critics):
            for name, classes in self.names():
                losses[name]["g_loss"] = self._update_generator(name, classes)
        self.generator_adam.step()

    def _critic_step(self, losses: Losses, reals: Reals) -> None:
        self.critic_adam.zero_grad(set_to_none=True)
        for name, classes in self.names():
            losses[name]["d_loss"] = self._critic_gradients(name, classes, reals)
        self.critic_adam.step()

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
        noise = torch.Generator().manual_seed(seed)
        images = []
        for name, classes in self.names():
            for label in classes:
                for latents in torch.randn(per_class, LATENT, generator=noise).split(SYNTHESIS_BATCH):
                    labels = torch.full((len(latents),), label, device=self.device)
                    images.extend(to_uint8(self.average[name](latents.to(self.device), labels)))
        return synthetic_set(images, [label for label in range(len(CLASSES)) for _ in range(per_class)])
