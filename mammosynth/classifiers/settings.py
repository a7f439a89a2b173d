"""What can be set of a classifier.  Imports no torch."""

from collections.abc import Mapping
from typing import Any

from mammosynth.classifiers import METHODS, SHARED, WIDTH
from mammosynth.declared import check_value, defaults, find, refuse_key
from mammosynth.errors import InputError


def resolve(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of classifier *name*: its method's defaults, overlaid with those that are *given*.

    Raises InputError naming the key if the method is not known, if a setting is not its method's or out of bounds, or
    if settings contradict each other.
    """
    where, method = f"config: classifiers.{name}", given["method"]
    entry = find(where, method, METHODS)
    known = {key: SHARED[key] for key in entry.takes} | dict(entry.own)
    for key, value in given.items():
        if key in known:
            check_value(f"{where}.{key}", value, known[key])
        elif key != "method":
            refuse_key(where, key, method, known, METHODS)
    found = defaults(known) | dict(given)
    if found.get("weights") and (width := found.get("width", WIDTH)) != WIDTH:
        raise InputError(
            f"{where}.width is {width}, and its weights are of a network of width {WIDTH}: set width: {WIDTH}, "
            "or leave out weights"
        )
    return found
