"""The paths of a configuration: environment variables and ``~`` are filled in here, once, and nowhere else."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammosynth.errors import InputError, Problems

# What a classifier's ``weights`` says, and is no path, for torchvision's ImageNet weights: the parameter file of its
# method's name.
IMAGENET = "imagenet"
LISTS = ("exclusions", "patients")  # settings of any source that name a file


def plain(config: Mapping[str, Any], shipped: str | Path) -> dict[str, Any]:
    """A configuration whose paths hold no variable and no ``~``; what it defines and does not select stays.

    shipped: the folder that lists of a source are looked for in where the working directory holds none.

    Raises InputError, one for all keys, if a variable is not set, a home is not known, or a file does not exist.
    """
    problems = Problems()
    result = dict(config)
    for key in ("downloads", "parameters"):
        with problems.gathered():
            result[key] = expand(config.get(key), key)
    for kind in ("sources", "generators", "classifiers"):
        result[kind] = dict(config[kind])
    for name in [*config["databases"], *config.get("external", [])]:
        settings = dict(config["sources"][name])
        for key in ("root", *LISTS):
            with problems.gathered():
                path = expand(settings.get(key), f"sources.{name}.{key}")
                if path:
                    settings[key] = _find_list(path, f"sources.{name}.{key}", shipped) if key in LISTS else path
        result["sources"][name] = settings
    for name in config["gans"]:
        settings = config["generators"][name]
        with problems.gathered():
            if start := expand(settings.get("start_from"), key := f"generators.{name}.start_from"):
                try:
                    start.format(modality="", split="", fold=0, seed=0)
                except (LookupError, ValueError) as error:
                    raise InputError(
                        f'config: {key} is "{start}": write {{modality}}, {{split}}, {{fold}} and {{seed}} in it, and '
                        "no other braces"
                    ) from error
                result["generators"][name] = settings | {"start_from": start}
        with problems.gathered():
            if root := expand(settings.get("root"), f"generators.{name}.root"):
                result["generators"][name] = settings | {"root": root}
    for name in config["classify_with"]:
        settings = config["classifiers"][name]
        with problems.gathered():
            if weights := expand(settings.get("weights"), key := f"classifiers.{name}.weights"):
                if weights != IMAGENET and not Path(weights).is_file():
                    raise InputError(
                        f"config: {key}: {weights} does not exist; name a file, {IMAGENET} to obtain torchvision's, or "
                        "null to start at random"
                    )
                result["classifiers"][name] = settings | {"weights": weights}
    problems.refuse()
    return result


def expand(path: str | None, key: str) -> str | None:
    """A path of the config with its environment variables and ``~`` filled in; none remains none.

    Raises InputError naming the variable, or the home, and the config's *key* if one is not known.
    """
    if not path:
        return path
    for variable in re.findall(r"\$\{?(\w+)", path):
        if variable not in os.environ:
            raise InputError(
                f'config: {key} is "{path}", but the environment variable {variable} is not set: '
                f"set it (export {variable}=<folder>), or write the path itself"
            )
    try:
        return str(Path(os.path.expandvars(path)).expanduser())
    except RuntimeError as error:
        raise InputError(f'config: {key} is "{path}", whose home folder is not known: write the path itself') from error


def _find_list(path: str, key: str, shipped: str | Path) -> str:
    """Where a list of a source lies: in the working directory, or among those that are *shipped*."""
    places = [place for place in (Path(path), Path(shipped, path)) if place.is_file()]
    if not places:
        raise InputError(f'config: {key} is "{path}", which is no file: mend the path, or make it')
    return str(places[0])
