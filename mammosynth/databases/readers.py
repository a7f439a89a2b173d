"""The list of readers. Adding a database: its file in this folder, and its name here."""

from importlib import import_module
from types import ModuleType

from mammosynth.databases.database import Database
from mammosynth.errors import InputError

READERS = (
    "breast_lesions_usg",
    "bus_bra",
    "busi",
    "cbis_ddsm",
    "inbreast",
    "mini_mias",
    "rois",
    "table",
    "udiat",
)


def module_of(reader: str) -> str:
    """The name of the module that a reader is."""
    return f"mammosynth.databases.{reader}"


def load(reader: str) -> ModuleType:
    """The module of a reader, with `read` and ``DATABASE``. Raises InputError if there is none."""
    if reader not in READERS:
        raise InputError(f"{reader} is not one of {', '.join(READERS)}")
    return import_module(module_of(reader))


def database_of(reader: str) -> Database:
    """What a reader declares of its database. Raises InputError as `load` does."""
    return load(reader).DATABASE
