"""Reading what torch saved: whole, and never by running what is in it."""

from pathlib import Path
from typing import Any

import torch

from mammosynth.errors import InputError


def read_weights(path: str | Path, what: str, mend: str) -> Any:
    """The content of a file, on the CPU; what: what it should be; mend: what to do if it is not.

    torch's own messages advise to load with ``weights_only=False``, which runs whatever a damaged or foreign file says:
    none is passed on.

    Raises InputError if the file is missing, damaged, or holds more than tensors, numbers and text.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist, and {what} is needed: {mend}") from error
    except Exception as error:  # torch raises many kinds for a damaged file
        raise InputError(f"{path} is not {what}, or not whole: {mend}") from error
