"""GANs: one small file each, one training loop for all."""

from importlib import import_module

# Adding a GAN: its file with one class, and one line here.
METHODS = {
    "wgan_gp": "mammosynth.gans.wgan_gp:WganGp",
    "cyclegan": "mammosynth.gans.cyclegan:CycleGan",
    "cgan": "mammosynth.gans.cgan:Cgan",
    "sngan": "mammosynth.gans.sngan:Sngan",
}


def gan_class(method: str) -> type:
    """The class of a GAN by its method's name; torch is imported here and not before."""
    module, name = METHODS[method].split(":")
    return getattr(import_module(module), name)
