"""Mixes: what a classifier is trained on.

A mix is spelled as parts joined by ``+``: ``real``, the name of a GAN, and ``classic`` (classical augmentation of each
batch).  A part may carry a dose, ``@r``: images per real training image, 1 if not given.

========================  =====================================================================
``real``                  the real training images
``sngan``                 synthetic images only, as many as there are real ones
``real+sngan@0.25``       the real images and one synthetic image for every four of them
``real@2``                each real image twice: the control that has as many images as real+gan
``real+classic``          real images, augmented classically at each step
========================  =====================================================================

Light on purpose: the workflow imports it to check the configuration before anything runs.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet

PART = re.compile(r"(?P<name>[a-z][a-z0-9_]*)(@(?P<dose>\d+(\.\d+)?))?")


@dataclass(frozen=True)
class Mix:
    """A parsed mix.

    doses: images per real training image, by part (``real`` or a GAN), in the order of the name;
    classic: whether batches are augmented classically.
    """

    name: str
    doses: Mapping[str, float]
    classic: bool

    @property
    def gans(self) -> list[str]:
        """The GANs whose images are in the mix."""
        return [part for part in self.doses if part != "real"]


def parse_mix(name: str, gans: Collection[str]) -> Mix:
    """Read a mix's name; *gans* are the GANs that it may name.

    Raises InputError if it cannot be read, names something unknown, names a part twice, gives a dose that is not
    positive (for ``real``: not a whole number), or holds no images at all.
    """
    doses: dict[str, float] = {}
    classic = False
    for text in str(name).split("+"):
        match = PART.fullmatch(text)
        if match is None:
            raise InputError(
                f"mix {name}: cannot read {text!r}; write real, a GAN or classic, with a dose as in real@2"
            )
        part, dose = match["name"], match["dose"]
        if part in doses or (part == "classic" and classic):
            raise InputError(f"mix {name}: {part} stands in it twice; give it one dose instead, as in {part}@2")
        if part == "classic":
            if dose is not None:
                raise InputError(f"mix {name}: classic takes no dose, as it changes images and adds none")
            classic = True
            continue
        if part != "real" and part not in gans:
            raise InputError(f"mix {name}: {part} is neither real, classic nor a GAN of this study ({', '.join(gans)})")
        doses[part] = float(dose or 1)
        if doses[part] <= 0:
            raise InputError(f"mix {name}: the dose of {part} must be above 0; leave the part out instead")
        if part == "real" and not doses[part].is_integer():
            raise InputError(f"mix {name}: real images are repeated as a whole, so their dose must be 1, 2, …")
    if not doses:
        raise InputError(f"mix {name}: it holds no images; add real or a GAN")
    return Mix(str(name), doses, classic)


def per_class(dose: float, n_real: int) -> int:
    """Synthetic images of each class that *dose* asks for beside *n_real* real training images; at least one."""
    return max(1, round(dose * n_real / len(CLASSES)))


def largest_dose(mixes: Collection[Mix], gan: str) -> float:
    """Images per real training image that *gan* must make: for its largest dose in *mixes*, and 1 to be assessed on."""
    return max([1.0, *(mix.doses[gan] for mix in mixes if gan in mix.doses)])


def assemble(mix: Mix, real: ImageSet, synthetic: Mapping[str, ImageSet], seed: int) -> ImageSet:
    """The training images of a mix.

    real: the real training images (they set how many a dose asks for, even if the mix does not hold them);
    synthetic: images by GAN, at least those of the mix.  Of each GAN an equal number of both classes is drawn, without
    replacement; the draw of a small dose is part of the draw of a larger one with the same seed.  Where a filter left
    fewer of a class than the dose asks for, all of them are taken.

    Raises InputError if a GAN has no image of a class.
    """
    sets = []
    for part, dose in mix.doses.items():
        if part == "real":
            sets += [real] * int(dose)
            continue
        n = per_class(dose, len(real))
        for pathology in CLASSES:
            candidates = synthetic[part].of_class(pathology)
            if not len(candidates):
                raise InputError(f"mix {mix.name}: {part} has no {pathology} images; loosen quality.filter")
            sets.append(candidates[np.random.default_rng(seed).permutation(len(candidates))[:n]])
    return ImageSet.concatenate(sets)
