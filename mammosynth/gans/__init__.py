"""GANs: one small file each, one training loop for all; and images that were made elsewhere, which need no training.

Adding a GAN is its file with one class, and one entry of ``METHODS``.  Imports no torch.
"""

from dataclasses import dataclass

from mammosynth import declared


@dataclass(frozen=True)
class Method(declared.Method):
    """A GAN.

    feature_network: the one that it is trained against, on whose features it is not ranked; translates: whether its
    images are made from real ones; takes: which ``Options`` of `mammosynth.gans.settings` it has. Those of its own the
    GAN reads from ``settings.own``.
    """

    feature_network: str | None = None
    translates: bool = False


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


# What stands in the place of a GAN, and is none: nothing of it is trained.
ELSEWHERE = {
    "images": declared.Method(
        "mammosynth.gans.elsewhere:collect",
        "Images made elsewhere",
        own={
            "root": {
                "description": "folder of the images; {modality} in it, or in both patterns, stands for the modality",
                "type": "string",
                "minLength": 1,
            },
            "benign": {
                "description": "benign images, as a pattern (glob) below root, of folders or of files",
                "type": "string",
                "minLength": 1,
            },
            "malignant": {
                "description": "malignant images, as a pattern (glob) below root, of folders or of files",
                "type": "string",
                "minLength": 1,
            },
        },
    )
}


def gan_class(method: str) -> type:
    """The class of a GAN by its method's name."""
    return METHODS[method].load()
