"""What a user adds to the package: files of one's own and an entry each; and what the package then says."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from workflow_for_tests import copy_workflow

ROOT = Path(__file__).parents[1]
READER = '''"""A toy. Layout: ``P01-benign.png``, each image one lesion."""

from mammosynth.databases.database import Database, Setting
from mammosynth.databases.files import list_files
from mammosynth.databases.lesion import Lesion, Reading, Source
from mammosynth.databases.pixels import read_size

DATABASE = Database(
    title="A toy database",
    licence="free of terms",
    citation="Nobody, nowhere",
    lesions={"benign": 10, "malignant": 8},
    near_duplicates=None,
    settings={
        "narrowest": Setting("Narrower images are excluded.", {"type": "integer", "minimum": 1}, default=20),
    },
)


def read(source: Source) -> Reading:
    reading = Reading([])
    for path in list_files(source.root):
        patient, pathology = path.stem.split("-")
        width, height = read_size(path)
        reading.lesions.append(
            Lesion(
                lesion_id=f"{source.name}/{path.stem}", patient_id=patient, database=source.name,
                modality=source.modality, image=str(path), image_id=path.name, mask="", x0=0, y0=0, x1=width, y1=height,
                pathology=pathology, excluded="too narrow" if width < source.settings["narrowest"] else "",
            )
        )
    return reading
'''
READER_ENTRY = 'READERS += ("toy",)\n'
GAN = '''
"""Grey blocks."""

from torch import nn

from mammosynth.gans.networks import LATENT
from mammosynth.gans.noise import NoiseGan


class Line(nn.Module):
    def __init__(self, contrast):
        super().__init__()
        self.contrast, self.line = contrast, nn.Linear(LATENT, 64)

    def forward(self, latents, labels):
        blocks = self.contrast * self.line(latents).tanh()
        return nn.functional.interpolate(blocks.view(-1, 1, 8, 8), scale_factor=16)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(64, 1), nn.Flatten(0))

    def forward(self, images, labels):
        return self.score(images)


class Blocks(NoiseGan):
    """Each class has its own line from latents to blocks."""

    betas = (0.0, 0.9)

    def make_networks(self):
        for name, _ in self.names():
            self.generators[name], self.critics[name] = Line(self.settings.own["contrast"]), Critic()
'''
GAN_ENTRY = """METHODS |= {
    "blocks": Method(
        "mammosynth.gans.blocks:Blocks",
        "Block GAN",
        takes=("lecam",),
        own={
            "contrast": {
                "description": "how far images are from grey",
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 1,
                "default": 0.5,
            }
        },
    )
}
"""
NETWORK = '''
"""Means of 16×16 px, from a file that says how much they weigh."""

from torch.nn import functional as F


def load(weights, device):
    factor = float(weights.read_text())
    return lambda images: factor * F.avg_pool2d(images[:, :1].float(), 16).flatten(1)
'''
WEIGHT = b"0.25"
NETWORK_ENTRY = f"""
means:
  title: means of 16×16 px
  dimension: 64
  weights:
    {{file: means.txt, sha256: {hashlib.sha256(WEIGHT).hexdigest()}, what: a number, licence: none, sources: []}}
"""
MEASURES = '''
"""Measures of the user's own."""

import numpy as np


def shift(real, other):
    return float(np.abs(real.mean(0) - other.mean(0)).max())


def brightness(images, labels):
    return images.mean((1, 2)) + labels


def difference(x, y):
    return np.abs(x.astype(float) - y).mean((1, 2))
'''
MEASURES_ENTRY = """
MEASURES += [
    OfSets("shift", "mammosynth.quality.mine:shift", better="lower", reference=FLOOR, explanation="how means differ"),
    OfImages(
        "brightness", "mammosynth.quality.mine:brightness", better="nearest", explanation="how bright images are",
        aspect="novelty", unit="grey levels", drawn=False, reads=("images", "labels"),
    ),
    OfPairs(
        "difference", "mammosynth.quality.mine:difference", better="higher", explanation="how far pixels differ",
        others="random real",
    ),
]
"""
CENTROIDS = '''
"""The nearer of two centroids."""

import numpy as np

from mammosynth.classifiers.classifier import Classifier
from mammosynth.gpu import describe
from mammosynth.networks.features import features


class Centroids(Classifier):
    def fit(self, task):
        [images] = task.training
        found = self._features(images.images)
        benign, malignant = (found[images.labels == label].mean(0) for label in (0, 1))
        self.direction, self.middle = (malignant - benign).tolist(), ((malignant + benign) / 2).tolist()
        row = {"step": 1, "phase": 1, "loss": 0.5, "val_loss": 0.5, "val_auroc": 0.5, "seconds": 0.1}
        return [row | {"device": describe(self.device)}]

    def probabilities(self, images):
        return 1 / (1 + np.exp(-self.settings["sharpness"] * (self._features(images) - self.middle) @ self.direction))

    def _features(self, images):
        return features(images, "means", self.parameters["means"], self.device) / 255

    def state(self):
        return {"direction": self.direction, "middle": self.middle}

    def load_state(self, state):
        self.direction, self.middle = state["direction"], state["middle"]
'''
CENTROIDS_ENTRY = """METHODS |= {
    "centroids": Method(
        "mammosynth.classifiers.centroids:Centroids",
        "Nearer centroid",
        own={"sharpness": {"description": "How sure it is", "type": "number", "minimum": 1, "default": 2}},
        starts_from="means",
    ),
}
"""
# By their path in the package, one of each kind: its file, and its entry in a list.
FILES = {
    "databases/toy.py": READER,
    "gans/blocks.py": GAN,
    "networks/means.py": NETWORK,
    "quality/mine.py": MEASURES,
    "classifiers/centroids.py": CENTROIDS,
}
ENTRIES = {
    "databases/readers.py": READER_ENTRY,
    "gans/__init__.py": GAN_ENTRY,
    "networks/networks.yaml": NETWORK_ENTRY,
    "quality/measures.py": MEASURES_ENTRY,
    "classifiers/__init__.py": CENTROIDS_ENTRY,
}


def workflow_with(house: Path, files: Mapping[str, str], entries: Mapping[str, str]) -> Path:
    """A copy of the workflow in *house*: files of one's own, and what is appended to those that are there."""
    copy_workflow(house)
    for name, content in files.items():
        (house / "mammosynth" / name).write_text(content, encoding="utf-8")
    for name, entry in entries.items():
        with (house / "mammosynth" / name).open("a", encoding="utf-8") as text:
            text.write(entry)
    return house


def said_by(code: str, house: Path, folder: Path, *arguments: str) -> list:
    """What *code* prints in *folder*, a JSON document a line; as ROOT it knows the workflow in *house*."""
    command = [sys.executable, "-P", "-c", f"ROOT = {str(house)!r}\n{code}", *arguments]
    environment = os.environ | {"PYTHONPATH": str(house)}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]
