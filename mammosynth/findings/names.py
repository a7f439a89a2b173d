"""How generators, classifiers, mixes and measures are called and explained in tables, figures and sentences."""

import re
from typing import NamedTuple

from mammosynth import classifiers, gans
from mammosynth.classifiers.mixes import BALANCE, Phase, parse_mix, shortest

TITLES = {
    **{name: method.title for methods in (gans.METHODS, classifiers.METHODS) for name, method in methods.items()},
    "real": "real set",
    "held_out": "held-out real",
    "floor": "real vs real",
}
NAMES_OF_PARTS = {"train": "training", "val": "validation", "test": "test"}
# Okabe and Ito's colours, which colour-blind readers can tell apart (jfly.uni-koeln.de/color).
COLOURS = {
    "wgan_gp": "#E69F00",
    "cyclegan": "#009E73",
    "cgan": "#0072B2",
    "sngan": "#CC79A7",
    "projected_gan": "#D55E00",
    "fastgan": "#56B4E9",
}
MORE_COLOURS = ("#F0E442", "#882255", "#999933")  # for generators of the user's own naming
REAL_COLOUR = "#222222"


class Measure(NamedTuple):
    """What a measure of image quality says: which way is better ("lower", "higher" or ""), and one line on it.

    mark: whose value is the one to come near to, where neither way is better: a generator of ``BASELINES``.
    """

    better: str
    explanation: str
    mark: str = "real"

    @property
    def arrow(self) -> str:
        """↓ where lower is better, ↑ where higher is."""
        return {"lower": "↓", "higher": "↑", "": ""}[self.better]


# By the start of a measure's name, the first that fits.
MEASURES = (
    (
        "floor/F",
        "higher",
        "distance of real ROIs of other patients over that of the synthetic ones; 1 is as near as real ROIs, and more "
        "can be memorising, for the GANs were trained on the ROIs compared with",
    ),
    (
        "FID",
        "lower",
        "Fréchet distance of Inception features of synthetic ROIs and the real ones that the GANs were trained on, so "
        "that copies lower it",
    ),
    (
        "FD",
        "lower",
        "Fréchet distance of the named network's features of synthetic ROIs and the real ones that the GANs were "
        "trained on, so that copies lower it",
    ),
    ("KID", "lower", "kernel distance of Inception features of synthetic and real ROIs, unbiased in their number"),
    (
        "KD",
        "lower",
        "kernel distance of the named network's features of synthetic and real ROIs, unbiased in their number",
    ),
    ("precision", "higher", "share of synthetic ROIs that lie among the real ones in feature space: fidelity"),
    ("recall", "higher", "share of real ROIs that lie among the synthetic ones in feature space: diversity"),
    (
        "density",
        "",
        "in how many real ROIs' neighbourhoods a synthetic one lies, as a share of those expected: fidelity; real ROIs "
        "of other patients are the reference, about 1, and more is crowding where real ROIs are densest",
        "floor",
    ),
    ("coverage", "higher", "share of real ROIs with a synthetic one in their neighbourhood: diversity"),
    (
        "MS-SSIM",
        "",
        "structural similarity over several scales; within a set, low means diverse, and the real set is the reference",
    ),
    (
        "SSIM, source",
        "",
        "structural similarity of a translation and the real ROI of the other class that it was made from; 1 would be "
        "a copy of the image that was translated",
    ),
    (
        "SSIM, nearest real",
        "",
        "structural similarity of a synthetic and the nearest real ROI of its class; near 1 would be a copy, but a "
        "translation is not compared with its source's patient, and its source is of the other class",
    ),
    ("SSIM", "", "structural similarity of a synthetic and a real ROI of its class"),
    (
        "BRISQUE",
        "",
        "distortion by natural-scene statistics learnt from photographs, not from ultrasound or mammography: lower is "
        "less; the real set is the reference",
    ),
    (
        "NIQE refitted",
        "",
        "distance from the natural-scene statistics of the real training ROIs, in blocks that fit the ROI: lower is "
        "nearer to their mean; the real set is the reference",
    ),
    (
        "NIQE",
        "",
        "distance from the natural-scene statistics of undistorted photographs, not of ultrasound or mammography: "
        "lower is nearer; the real set is the reference",
    ),
    (
        "PIQE",
        "",
        "extent of distorted blocks, by rules made for photographs: lower is less; the real set is the reference",
    ),
    (
        "near copies",
        "lower",
        "share of synthetic ROIs that are nearer to one training ROI, in pixels or in features, than real ROIs of "
        "other patients ever are; held-out real ROIs are the reference",
    ),
    (
        "AuthPct",
        "",
        "percentage of synthetic ROIs farther from their nearest training ROI than that is from its own nearest; "
        "held-out real ROIs are the reference: fewer are copies, more are unlike real ROIs",
        "held_out",
    ),
    (
        "nearest training ROI",
        "",
        "distance in features to the nearest training ROI, over that of held-out real ROIs; well below 1 is copying, "
        "above 1 is unlike real ROIs",
    ),
    (
        "label accuracy",
        "higher",
        "share of synthetic ROIs that a classifier of the real training ROIs takes for the class that they were made "
        "to be; held-out real ROIs are the reference, a little high, as its step and threshold were chosen by them. A "
        "translation's source was among those training ROIs, under the other label",
    ),
)


def measure_of(name: str) -> Measure:
    """Direction and explanation of a quality measure; without direction if it is not known here."""
    for start, *rest in MEASURES:
        if re.match(rf"{start}(\b|(?<=/F))", name, re.IGNORECASE):
            return Measure(*rest)
    return Measure("", "")


def name_of(name: str) -> str:
    """Display name of a generator, a classifier, ``real`` or ``floor``; names of the user's own stay as they are."""
    return TITLES.get(name, name.replace("_", " "))


def name_of_mix(mix: str) -> str:
    """Display name of a mix: ``sngan=30..real+sngan@0.25`` is "SNGAN (30 %) → real + SNGAN ×0.25 (70 %)"."""
    read = parse_mix(mix)
    names = [_name_of_phase(phase) for phase in read.phases]
    if not read.equal_shares:
        names = [f"{name} ({float(100 * share):g} %)" for name, share in zip(names, read.shares)]
    return " → ".join(names)


def _name_of_phase(phase: Phase) -> str:
    parts = []
    for name, dose in phase.doses.items():
        shown = name if name == "real" else name_of(name)
        parts.append(shown if dose == 1 else f"{shown} to balance" if dose == BALANCE else f"{shown} ×{shortest(dose)}")
    return " + ".join([*parts, *(["classic"] if phase.classic else [])])


def colours_of(generators: list[str]) -> dict[str, str]:
    """A colour for each GAN, the same in all figures, and one for ``real``."""
    others = [generator for generator in generators if generator not in COLOURS]
    return (
        COLOURS | {name: MORE_COLOURS[i % len(MORE_COLOURS)] for i, name in enumerate(others)} | {"real": REAL_COLOUR}
    )
