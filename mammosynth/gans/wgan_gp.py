"""WGAN-GP (Gulrajani et al. 2017): the Wasserstein loss and a penalty on the critic's gradient.

Settings of the paper's code at 64 px (gan_64x64): width 64, batch 64, 5 critic steps before each of the generator, Adam
1e-4 (0, 0.9), 200,000 steps at a constant rate, λ = 10.  The networks are SNGAN's without spectral normalisation, the
critic without any normalisation and with mean pooling.  Unconditional there: one pair of networks a class.
"""

from torch import Tensor

from mammosynth.gans.networks import ResNetCritic
from mammosynth.gans.noise import NoiseGan
from mammosynth.gans.objectives import gradient_penalty, wasserstein_critic

PENALTY_WEIGHT = 10.0


class WganGp(NoiseGan):
    """WGAN-GP, one pair of networks for each class."""

    betas = (0.0, 0.9)
    generator_first = False
    critic_objective = staticmethod(wasserstein_critic)

    def make_networks(self) -> None:
        for name, _ in self.names():
            self.generators[name] = self.make_generator()
            self.critics[name] = ResNetCritic(self.settings.width, spectral=False, pooling="mean")

    def penalty(self, name: str, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        return PENALTY_WEIGHT * gradient_penalty(lambda images: self.critics[name](images, labels), real, fake)
