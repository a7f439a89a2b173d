"""SNGAN (Miyato et al. 2018): residual networks, a spectrally normalised critic, the hinge loss.

Settings of the paper's code (sn_projection): width 64, batch 64, 5 critic steps, Adam 2e-4 (0, 0.9), 450,000 steps of
which the last ninth decays linearly, a generator's batch twice the critic's.  Unconditional there: one pair of networks
a class.
"""

from mammosynth.gans.networks import ResNetCritic
from mammosynth.gans.noise import NoiseGan


class Sngan(NoiseGan):
    """SNGAN, one pair of networks for each class."""

    betas = (0.0, 0.9)
    decay = 1 / 9
    generator_batches = 2

    def make_networks(self) -> None:
        for name, _ in self.names():
            self.generators[name] = self.make_generator()
            self.critics[name] = ResNetCritic(self.settings.width, spectral=True, pooling="sum")
