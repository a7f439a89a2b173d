"""GANs: one small file each, one training loop for all.

Adding a GAN is its file with one class, and one entry of ``METHODS``.  Imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Method:
    """A GAN.

    place: ``module:Class``; title: how tables spell it; feature_network: the one that it is trained against, on whose
    features it is not ranked; translates: whether its images are made from real ones; takes: which ``Options`` of
    `mammosynth.gans.settings` it has a use for; own: settings that it alone has, by name, each a JSON schema with a
    description and a default, by which studies are checked. The GAN reads them from ``settings.own``.
    """

    place: str
    title: str
    feature_network: str | None = None
    translates: bool = False
    takes: tuple[str, ...] = ()
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """The name of the module that it stands in."""
        return self.place.partition(":")[0]


RESIDUAL = ("critic_steps", "smooth_upsampling", "noise", "lecam", "freeze_critic")

METHODS = {
    "wgan_gp": Method("mammosynth.gans.wgan_gp:WganGp", "WGAN-GP", takes=RESIDUAL),
    "cyclegan": Method(
        "mammosynth.gans.cyclegan:CycleGan",
        "CycleGAN",
        translates=True,
        takes=("smooth_upsampling", "lecam", "r1", "freeze_critic"),
    ),
    "cgan": Method(
        "mammosynth.gans.cgan:Cgan",
        "CGAN",
        takes=(*RESIDUAL, "r1"),
        own={
            "conditioning": {
                "description": "how it gets the class: projection (Miyato & Koyama 2018) or concat (Mirza et al. 2014)",
                "enum": ["projection", "concat"],
                "default": "projection",
            }
        },
    ),
    "sngan": Method("mammosynth.gans.sngan:Sngan", "SNGAN", takes=(*RESIDUAL, "r1")),
    "projected_gan": Method(
        "mammosynth.gans.projected_gan:ProjectedGan",
        "Projected GAN",
        feature_network="efficientnet_lite0",
        takes=("lecam",),
    ),
    "fastgan": Method(
        "mammosynth.gans.fastgan:FastGan", "FastGAN", takes=("critic_steps", "lecam", "r1", "freeze_critic")
    ),
}


def gan_class(method: str) -> type:
    """The class of a GAN by its method's name; torch is imported here and not before."""
    module, name = METHODS[method].place.split(":")
    return getattr(import_module(module), name)
