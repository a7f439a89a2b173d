"""The one kind of error that its reader can mend, and many of them told at once."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Bad data, configuration or environment.

    The message is one sentence that names the file, key or row and says how to mend it; jobs print it without a
    traceback.
    """


class MachineError(InputError):
    """As above, of the machine as it is just now: a full disk, a broken GPU. Another try, or machine, may do."""


class Problems:
    """Gathers InputErrors over many files, so that one run names every bad one."""

    SHOWN = 20

    def __init__(self) -> None:
        self.found: list[str] = []

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep an InputError of this block for `refuse`, and go on."""
        try:
            yield
        except InputError as error:
            self.found.append(str(error))

    def refuse(self) -> None:
        """Raise one InputError that names all that was gathered, if anything was."""
        if len(self.found) > self.SHOWN:
            self.found[self.SHOWN :] = [f"and {len(self.found) - self.SHOWN} more"]
        if self.found:
            raise InputError("\n".join(self.found))


class CutOff(Exception):
    """A training that was told to end, has saved its state and will resume from it. No fault of anyone's."""
