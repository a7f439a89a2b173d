"""How generators, classifiers and mixes are called in tables, figures and sentences."""

from mammosynth import classifiers, gans
from mammosynth.classifiers.mixes import BALANCE, Phase, parse_mix, shortest

TITLES = {
    **{name: method.title for methods in (gans.METHODS, classifiers.METHODS) for name, method in methods.items()},
    "real": "real set",
    "held_out": "held-out real",
    "floor": "real vs real",
}
NAMES_OF_PARTS = {"train": "training", "val": "validation", "test": "test", "external": "external"}
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
