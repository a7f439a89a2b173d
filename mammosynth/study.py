"""What a configuration must satisfy beyond its schema: names that it uses exist, and parts of it agree.

Checked before the workflow plans a job: Snakemake calls outputs whose inputs cannot be made up to date.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mammosynth.classifiers.mixes import parse_mix
from mammosynth.errors import InputError


def check(config: Mapping[str, Any]) -> None:
    """Check the cross-references of a resolved configuration.

    Raises InputError naming the key, what it says and what it may say.
    """
    _check_known("databases", config["databases"], config["sources"], "sources")
    _check_known("gans", config["gans"], config["generators"], "generators")
    for name in config["databases"]:
        if ("root" in config["sources"][name]) == ("phantoms" in config["sources"][name]):
            raise InputError(f"config: sources.{name} needs either root (its folder) or phantoms (to make them)")
    for fold in config["folds"]:
        if fold >= config["partition"]["folds"]:
            count = config["partition"]["folds"]
            raise InputError(f"config: folds names fold {fold}, but partition.folds makes 0 to {count - 1}")
    if (weights := config["classifier"].get("weights")) and not Path(weights).is_file():
        raise InputError(
            f"config: classifier.weights: {weights} does not exist; name a file, or null to start at random"
        )
    for mix in config["mixes"]:
        parse_mix(mix, config["gans"])
    if "real" not in config["mixes"]:
        raise InputError("config: mixes lacks 'real', which every other mix is compared with: add it")


def modalities(config: Mapping[str, Any]) -> list[str]:
    """The modalities of the selected databases, in the order of their first mention."""
    return list(dict.fromkeys(config["sources"][name]["modality"] for name in config["databases"]))


def sources_of(config: Mapping[str, Any], modality: str) -> list[str]:
    """Names of the selected databases of one modality."""
    return [name for name in config["databases"] if config["sources"][name]["modality"] == modality]


def _check_known(key: str, names: Iterable[str], known: Mapping[str, Any], where: str) -> None:
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"config: {key} names {', '.join(unknown)}, not among {where}: {', '.join(known)}")
