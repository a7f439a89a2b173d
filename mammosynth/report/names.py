"""How generators, mixes and measures are called and explained in tables, figures and sentences."""

import re
from typing import NamedTuple

GENERATORS = {
    "wgan_gp": "WGAN-GP",
    "cyclegan": "CycleGAN",
    "cgan": "CGAN",
    "sngan": "SNGAN",
    "real": "real set",
    "floor": "real vs real",
}
# Okabe and Ito's colours, which colour-blind readers can tell apart (jfly.uni-koeln.de/color).
COLOURS = ("#E69F00", "#009E73", "#0072B2", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
REAL_COLOUR = "#222222"


class Measure(NamedTuple):
    """What a measure of image quality says: which way is better ("lower", "higher" or ""), and one line on it."""

    better: str
    explanation: str

    @property
    def arrow(self) -> str:
        """↓ where lower is better, ↑ where higher is."""
        return {"lower": "↓", "higher": "↑", "": ""}[self.better]


# By the start of a measure's name, the first that fits.
MEASURES = (
    ("FID", "lower", "Fréchet distance of Inception features of synthetic and real images; grows as n shrinks"),
    ("FD", "lower", "Fréchet distance of a network's features of synthetic and real images; grows as n shrinks"),
    ("KID", "lower", "kernel distance of Inception features of synthetic and real images; unbiased in n"),
    ("KD", "lower", "kernel distance of a network's features of synthetic and real images; unbiased in n"),
    ("MS-SSIM", "lower", "structural similarity over several scales of pairs within a set; low means diverse images"),
    ("SSIM", "lower", "structural similarity of pairs within a set; low means diverse images"),
    ("BRISQUE", "lower", "distortion from natural-scene statistics, learnt from photographs"),
    ("NIQE", "lower", "distance from natural-scene statistics of photographs"),
    ("PIQE", "lower", "share and strength of distorted blocks"),
)


def measure_of(name: str) -> Measure:
    """Direction and explanation of a quality measure; without direction if it is not known here."""
    for start, better, explanation in MEASURES:
        if re.match(rf"{start}\b", name):
            return Measure(better, explanation)
    return Measure("", "")


def name_of(generator: str) -> str:
    """Display name of a generator, ``real`` or ``floor``; a generator of the user's own naming keeps its name."""
    return GENERATORS.get(generator, generator.replace("_", " "))


def name_of_mix(mix: str) -> str:
    """Display name of a mix: ``real+sngan@0.25`` is "real + SNGAN ×0.25"."""
    parts = []
    for part in mix.split("+"):
        name, _, dose = part.partition("@")
        shown = name if name in ("real", "classic") else name_of(name)
        parts.append(f"{shown} ×{dose}" if dose else shown)
    return " + ".join(parts)


def gans_of_mix(mix: str) -> list[str]:
    """The GANs that a mix names."""
    return [name for part in mix.split("+") if (name := part.partition("@")[0]) not in ("real", "classic")]


def colours_of(generators: list[str]) -> dict[str, str]:
    """A colour for each GAN by its place in the study, and one for ``real``."""
    return {gan: COLOURS[i % len(COLOURS)] for i, gan in enumerate(generators)} | {"real": REAL_COLOUR}
