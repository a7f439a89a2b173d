"""CGAN: both classes in one pair of networks that are told the class.

Conditioning "projection": SNGAN with conditional batch normalisation and a projection critic (Miyato & Koyama 2018),
the better known one for images.  Conditioning "concat": one-hot labels beside the latents and beside the image (Mirza &
Osindero 2014).  Optimised as SNGAN; each batch holds both classes equally.
"""

from mammosynth.gans.networks import ResNetCritic
from mammosynth.gans.sngan import Sngan


class Cgan(Sngan):
    """Class-conditional SNGAN."""

    conditional = True

    def make_networks(self) -> None:
        width, conditioning = self.settings.width, self.settings.own["conditioning"]
        self.generators["all"] = self.make_generator(conditioning)
        self.critics["all"] = ResNetCritic(width, spectral=True, pooling="sum", conditioning=conditioning)
