"""Predictions of a trained classifier: what every score is computed from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mammosynth.imageset import CLASSES, ImageSet

if TYPE_CHECKING:
    from mammosynth.classifiers.classifier import Classifier


def predict(
    classifier: "Classifier", parts: Mapping[str, ImageSet], databases: Mapping[str, str], where: Mapping[str, Any]
) -> pd.DataFrame:
    """A row an image of *parts*, which are any by name.

    databases: database of each lesion id; where: first columns, the same for all rows.  Then come part, lesion_id,
    patient_id, database, pathology and probability.
    """
    frames = [
        pd.DataFrame(
            {
                **where,
                "part": part,
                "lesion_id": images.ids,
                "patient_id": images.patients,
                "database": [databases[lesion] for lesion in images.ids],
                "pathology": np.array(CLASSES)[images.labels],
                "probability": classifier.probabilities(images.images),
            }
        )
        for part, images in parts.items()
    ]
    return pd.concat(frames, ignore_index=True)
