"""Databases that several test files read: small phantoms, made once, and the real ones where they are."""

import os
import tempfile
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from mammosynth import curation
from mammosynth.databases import open_source, read_database
from mammosynth.databases.phantoms import make_phantoms

COUNTS = {"benign": 16, "malignant": 12}
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
    return curation.read_lesions({"phantom": settings(reader, phantoms(reader))})


def real(folder: str) -> Path:
    """Where a real database lies; the test is skipped where it does not."""
    if "MAMMOSYNTH_DATA" not in os.environ:
        pytest.skip(f"MAMMOSYNTH_DATA is not set: no real {folder} to test on")
    path = Path(os.environ["MAMMOSYNTH_DATA"], folder)
    if not path.is_dir():
        pytest.skip(f"{path} is not there: no real {folder} to test on")
    return path


@cache
def real_busi_hashes() -> dict[Path, np.ndarray]:
    """The perceptual hash of every image of real BUSI, normal ones too."""
    reading = read_database(open_source("busi", settings("busi", real("busi"))))
    paths = [Path(lesion.image) for lesion in reading.lesions] + reading.normals
    return dict(zip(paths, curation.hash_images(paths)))


@cache
def real_busi():
    """The curated lesions of real BUSI."""
    hashes = real_busi_hashes()
    with mock.patch.object(curation, "hash_images", lambda paths: np.array([hashes[path] for path in paths])):
        return curation.read_lesions({"busi": settings("busi", real("busi"))})
