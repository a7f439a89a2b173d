"""What the tests of the quality stage share: parameter files, obtained once a run, and images to judge."""

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from databases_for_tests import real
from PIL import Image
from scipy.ndimage import gaussian_filter

from mammosynth.errors import InputError
from mammosynth.imageset import ImageSet
from mammosynth.networks import NETWORKS
from mammosynth.parameters import declared, obtain

DECLARATIONS = declared() | {name: network.weights for name, network in NETWORKS.items()}
FOLDER = tempfile.TemporaryDirectory(prefix="mammosynth-parameters-")


@functools.cache
def _obtained(name: str) -> Path | InputError:
    path = Path(FOLDER.name, name)
    try:
        obtain(name, DECLARATIONS[name], path)
    except InputError as error:
        return error
    return path


@functools.cache
def index_answers() -> bool:
    """Whether the package index that pip is set up with can be reached: it has pip itself."""
    command = [sys.executable, "-m", "pip", "index", "versions", "pip", "--retries", "1", "--timeout", "15"]
    environment = os.environ | {"PIP_FIND_LINKS": ""}  # a folder of wheels is no index
    return subprocess.run(command, capture_output=True, env=environment).returncode == 0


def skip_without_index(error: InputError) -> None:
    """Skip the test if the error may be due to the package index being out of reach; else raise the error."""
    if index_answers():
        raise error
    pytest.skip(f"no package index can be reached: {error}")


def parameter_file(name: str) -> Path:
    """The parameter file *name*; the test is skipped where no package index can be reached."""
    result = _obtained(name)
    if isinstance(result, InputError):
        skip_without_index(result)
    return result


def textures(n: int, seed: int = 0, side: int = 128) -> np.ndarray:
    """uint8 [n, side, side]: smoothed noise around a darker disc, each image with a grain and a disc of its own."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side)) / side - 0.5
    images = []
    for _ in range(n):
        field = gaussian_filter(rng.standard_normal((side, side)), rng.uniform(0.7, 2.5))
        disc = np.hypot(x - rng.uniform(-0.2, 0.2), y - rng.uniform(-0.2, 0.2)) < rng.uniform(0.1, 0.3)
        images.append(128 + 45 * field / field.std() - 60 * disc)
    return np.clip(images, 0, 255).astype(np.uint8)


def real_rois(n: int) -> np.ndarray:
    """uint8 [n, 128, 128]: masses of the published CBIS-DDSM ROIs' training part, each of another patient.

    The test is skipped where they are not at hand.
    """
    paths = sorted((real("cbis-ddsm-mass-rois-128") / "train").glob("*/*.png"))
    of_patient = {path.name.partition("_image")[0]: path for path in paths}
    return np.stack([np.array(Image.open(path).convert("L")) for path in list(of_patient.values())[:n]])


def image_set(benign: int, malignant: int, seed: int = 0, per_patient: int = 0) -> ImageSet:
    """Textures with classes; *per_patient* images a patient, or none named (as of synthetic images)."""
    n = benign + malignant
    labels = np.repeat([0, 1], [benign, malignant])
    patients = np.array([f"{seed}-{i // per_patient}" for i in range(n)]) if per_patient else None
    return ImageSet(textures(n, seed), labels, np.array([f"{seed}/{i}" for i in range(n)]), patients)
