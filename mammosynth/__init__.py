"""mammosynth: does GAN-made data help a breast-mass classifier?  The domain code; it never imports Snakemake."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``mammosynth.assess``, imported when it is asked for, as it needs torch."""
    if name == "assess":
        from importlib import import_module

        return import_module("mammosynth.assessment").assess
    raise AttributeError(f"module {__name__} has no attribute {name}")
