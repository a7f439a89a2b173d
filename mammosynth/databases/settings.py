"""The settings of a source: those that all have, as the config's schema describes them, and its reader's own."""

import copy
from collections.abc import Mapping
from typing import Any

from mammosynth.databases.database import Setting
from mammosynth.databases.readers import database_of
from mammosynth.errors import InputError, Problems

# As the schema has them for `sources`.
COMMON = ("reader", "modality", "root", "download", "phantoms", "near_duplicates", "exclusions", "patients")


def resolve(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of source *name*, with the defaults of its reader's own filled in.

    Raises InputError, one for all of them, naming the key, what is wrong with it and what it may be.
    """
    where = f"config: sources.{name}"
    try:
        database = database_of(settings["reader"])
    except InputError as error:
        raise InputError(f"{where}.reader: {error}") from error
    own, problems = database.settings, Problems()
    for key, value in settings.items():
        with problems.gathered():
            if key in own:
                _check(f"{where}.{key}", value, own[key])
            elif key not in COMMON:
                known = ", ".join([*own, *COMMON[1:]])
                raise InputError(f"{where}.{key}: reader {settings['reader']} has no such setting; it has {known}")
    for key, setting in own.items():
        with problems.gathered():
            if setting.required and key not in settings:
                raise InputError(
                    f"{where} has no {key}, which reader {settings['reader']} needs: {setting.description}"
                )
    problems.refuse()
    defaults = {key: setting.default for key, setting in own.items() if setting.default is not None}
    return copy.deepcopy(defaults) | dict(settings)


def near_duplicate_bits(settings: Mapping[str, Any]) -> int | None:
    """Up to how many of 256 bits near-duplicates of a source may differ: its setting, else its reader's; None = off."""
    return settings.get("near_duplicates", database_of(settings["reader"]).near_duplicates)


def _check(where: str, value: Any, setting: Setting) -> None:
    from jsonschema import Draft202012Validator  # takes long

    if errors := sorted(Draft202012Validator(setting.rule).iter_errors(value), key=lambda error: list(error.path)):
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in errors[0].path)
        raise InputError(f"{where}{place}: {errors[0].message}; {setting.description}")
    if setting.check:
        try:
            setting.check(value)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
