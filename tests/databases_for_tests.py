"""Databases that several test files read: small phantoms, made once, and the real ones where they are."""

import os
import tempfile
from functools import cache
from pathlib import Path

import pytest

from mammosynth.curation import read_lesions
from mammosynth.databases.phantoms import make_phantoms

COUNTS = {"benign": 18, "malignant": 14}
MODALITY = {"busi": "ultrasound", "mini_mias": "mammography"}
_folder = tempfile.TemporaryDirectory(prefix="mammosynth-phantoms-")


@cache
def phantoms(reader: str) -> Path:
    """A small database of phantoms in the layout of a reader."""
    root = Path(_folder.name, reader)
    make_phantoms(reader, {**COUNTS, "seed": 0}, root)
    return root


def settings(reader: str, root: Path, **more) -> dict:
    return {"reader": reader, "modality": MODALITY.get(reader, "mammography"), "root": str(root), **more}


@cache
def phantom_lesions(reader: str):
    """The curated lesions of a small database of phantoms."""
    return read_lesions({"phantom": settings(reader, phantoms(reader))})


def real(folder: str) -> Path:
    """Where a real database lies; the test is skipped where it does not."""
    if "MAMMOSYNTH_DATA" not in os.environ:
        pytest.skip(f"MAMMOSYNTH_DATA is not set: no real {folder} to test on")
    path = Path(os.environ["MAMMOSYNTH_DATA"], folder)
    if not path.is_dir():
        pytest.skip(f"{path} is not there: no real {folder} to test on")
    return path


@cache
def real_busi():
    """The curated lesions of real BUSI."""
    return read_lesions({"busi": settings("busi", real("busi"))})
