"""Predictions of trained classifiers on the validation and test parts: what every score is computed from."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mammosynth.arrays.statistics import youden_threshold
from mammosynth.classifiers.training import Classifier, load, read_saved
from mammosynth.imageset import CLASSES, ImageSet

COLUMNS = ["mix", "seed", "part", "lesion_id", "patient_id", "database", "pathology", "probability", "threshold"]


def predict(
    classifier: Classifier, mix: str, seed: int, parts: Mapping[str, ImageSet], databases: Mapping[str, str]
) -> pd.DataFrame:
    """Rows of COLUMNS for every image of *parts* (``val``, ``test``).

    The threshold is chosen on ``val`` alone (Youden).  databases: database of each lesion id.
    """
    probabilities = {part: classifier.probabilities(images.images) for part, images in parts.items()}
    threshold = youden_threshold(parts["val"].labels, probabilities["val"])
    frames = [
        pd.DataFrame(
            {
                "mix": mix,
                "seed": seed,
                "part": part,
                "lesion_id": images.ids,
                "patient_id": images.patients,
                "database": [databases[lesion] for lesion in images.ids],
                "pathology": np.array(CLASSES)[images.labels],
                "probability": probabilities[part],
                "threshold": threshold,
            }
        )
        for part, images in parts.items()
    ]
    return pd.concat(frames, ignore_index=True)[COLUMNS]


def predict_all(
    files: list[str | Path], parts: Mapping[str, ImageSet], databases: Mapping[str, str], device: torch.device
) -> pd.DataFrame:
    """Predictions of every classifier file of a fold, one below the other."""
    frames = []
    for file in files:
        saved = read_saved(file)
        frames.append(predict(load(saved, device), saved["mix"], saved["seed"], parts, databases))
    return pd.concat(frames, ignore_index=True)
