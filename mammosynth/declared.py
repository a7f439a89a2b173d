"""What a GAN or a classifier declares of itself in the list of its kind, and what a study may therefore set of it.

Light on purpose: the workflow imports it.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeVar

from mammosynth.errors import InputError


@dataclass(frozen=True)
class Method:
    """An entry of a list of methods.

    place: ``module:Class``; title: how tables spell it; takes: which of the settings that several methods share it has
    a use for; own: settings that it alone has, by name, each a JSON schema with a description and a default.
    """

    place: str
    title: str
    takes: tuple[str, ...] = ()
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """The name of the module that it stands in."""
        return self.place.partition(":")[0]

    def load(self) -> type:
        """Its class; what that needs, such as torch, is imported here and not before."""
        return getattr(import_module(self.module), self.place.partition(":")[2])


M = TypeVar("M", bound=Method)


def find(where: str, method: str, methods: Mapping[str, M]) -> M:
    """The entry of a method.  Raises InputError naming the key *where* if there is none."""
    if method not in methods:
        raise InputError(f"{where}.method: {method} is not one of {', '.join(methods)}")
    return methods[method]


def defaults(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The default of each declared setting."""
    return {key: said["default"] for key, said in declared.items()}


def check_value(where: str, value: Any, declared: Mapping[str, Any]) -> None:
    """Raise InputError naming the key *where* if a value is not as its setting is declared."""
    from jsonschema import Draft202012Validator  # takes long

    for error in Draft202012Validator(declared).iter_errors(value):
        raise InputError(f"{where}: {error.message} ({declared['description']})")


def refuse_key(where: str, key: str, method: str, known: Iterable[str], methods: Mapping[str, Method]) -> None:
    """Raise InputError for a setting that *method*, which has the *known* ones, does not have."""
    if having := [other for other, entry in methods.items() if key in (*entry.takes, *entry.own)]:
        raise InputError(f"{where}.{key}: {method} has no use for it (it is for {', '.join(having)}); remove it")
    known = list(known)
    near = difflib.get_close_matches(key, known, 1)
    mend = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
    raise InputError(f"{where}.{key}: {method} has no such setting; {mend}")
