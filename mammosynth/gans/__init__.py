"""GANs: one small file each, one training loop for all."""

from importlib import import_module
from typing import NamedTuple


class Method(NamedTuple):
    """A GAN.

    place: ``module:Class``; sees: the feature network that it is trained against, on whose features it is not ranked;
    refuses: settings that it has no use for.
    """

    place: str
    sees: str | None = None
    refuses: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The name of the module that it stands in."""
        return self.place.partition(":")[0]


# Adding a GAN: its file with one class, and one line here.
METHODS = {
    "wgan_gp": Method("mammosynth.gans.wgan_gp:WganGp", refuses=("conditioning", "r1")),
    "cyclegan": Method("mammosynth.gans.cyclegan:CycleGan", refuses=("conditioning", "critic_steps", "noise")),
    "cgan": Method("mammosynth.gans.cgan:Cgan"),
    "sngan": Method("mammosynth.gans.sngan:Sngan", refuses=("conditioning",)),
    "projected_gan": Method(
        "mammosynth.gans.projected_gan:ProjectedGan",
        sees="efficientnet_lite0",
        refuses=("conditioning", "smooth_upsampling", "noise", "critic_steps", "r1", "freeze_critic"),
    ),
    "fastgan": Method("mammosynth.gans.fastgan:FastGan", refuses=("conditioning", "smooth_upsampling", "noise")),
}


def gan_class(method: str) -> type:
    """The class of a GAN by its method's name; torch is imported here and not before."""
    module, name = METHODS[method].place.split(":")
    return getattr(import_module(module), name)
