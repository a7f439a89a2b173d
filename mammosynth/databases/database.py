"""What belongs to a database and is said once, at the top of its reader's file: name and terms, its own settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Setting:
    """A setting that one reader has, beside those of all sources.

    description: what it does, for people. rule: what it may be, in the words of JSON schema. default: what it is where
    it is left out. check: what the rule cannot say; it raises InputError that begins with what is wrong with the value.
    """

    description: str
    rule: Mapping[str, Any]
    default: Any = None
    required: bool = False
    check: Callable[[Any], None] | None = None


@dataclass(frozen=True)
class Database:
    """A database as its reader's file declares it, in ``DATABASE``. What is not known is left out.

    title, licence, citation: as the data card quotes them. tried: of which files the reader has read it, so far.
    near_duplicates: up to how many of 256 bits near-duplicates differ where the source does not say it; None for no
    search. lesions: how many of each class the whole database has, read with the settings' defaults.
    files: where to obtain its files, each a mapping with *address*, and *sha256* only where the publisher's file is
    fixed and its checksum known for sure; archives are unpacked. idc: the *collection* of the Imaging Data Commons,
    and how the ids of the *patients* wanted begin. request: where to ask, for those that may not be downloaded freely.
    settings: those of this reader alone, by name. phantoms: the module
    whose `write` lays phantoms into the reader's ``FOLDER``, in its layout.
    """

    near_duplicates: int | None
    title: str = ""
    licence: str = ""
    citation: str = ""
    tried: str = ""
    lesions: Mapping[str, int] = field(default_factory=dict)
    files: Sequence[Mapping[str, str]] = ()
    idc: Mapping[str, str] = field(default_factory=dict)
    request: str = ""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    phantoms: str = ""

    @property
    def download(self) -> dict[str, Any]:
        """What `mammosynth.downloads.download` takes: empty if it is not known where to obtain the database."""
        told = {"files": list(self.files), "idc": dict(self.idc), "request": self.request}
        told = {key: value for key, value in told.items() if value}
        return {"title": self.title, **told} if told else {}
