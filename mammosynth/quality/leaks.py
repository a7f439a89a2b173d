"""Whether images made elsewhere show ROIs of the validation or test part, which whatever made them may have seen.

Of a GAN that the study trains it is known that it did not. Of given images nothing is: so they are compared with the
ROIs of these parts, and of external databases, as `novelty` compares them with the training part. That measures, and
decides nothing: no image is left out for it, as what classifiers learn from would then be chosen by the test part.

What independent images reach is known of the training ROIs, which are of other patients: they say where **near copies**
of these parts begin. They are few by chance, and a share says what there is, see `mammosynth.findings.verdicts.leaks`.
A **leak** is certain by itself: it correlates by more than ``CERTAIN``, and lies beyond that limit.

Of the ROIs of different groups of BUSI and CBIS-DDSM no two correlate by more than .7, as they would have been joined.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.quality.measures import NEAR_COPY, REAL
from mammosynth.quality.novelty import find_nearest, limits, near_copies, nearest_columns

CERTAIN = 0.8  # correlation from which an image shows a ROI
LEAK = "leak of"  # the column that names it


def find_leaks(
    generator: str,
    images: ImageSet,
    features: np.ndarray,
    train: ImageSet,
    train_features: np.ndarray,
    parts: Mapping[str, ImageSet],
    part_features: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """A line for each image of *generator*, then for each training ROI: its nearest ROIs of other parts.

    parts: the validation and test part, and external databases, by name; features [N, d] of each set.

    Columns: generator (``real`` for training ROIs), id, pathology, those of `novelty.nearest_columns`, part (of the
    ROI that correlates best), near copies (0 or 1) and ``LEAK`` (of an image that is certainly one, the ROI's id).

    Raises InputError if there are too few training ROIs for limits.
    """
    others = ImageSet.concatenate(parts.values())
    part = np.repeat([*parts], [len(of_part) for of_part in parts.values()])
    known = others.images, np.concatenate([part_features[name] for name in parts]), others.patients
    of_train = find_nearest(train.images, train_features, train.patients, *known)
    synthetic = np.array([f"synthetic {name}" for name in images.ids.tolist()])
    of_images = find_nearest(images.images, features, synthetic, *known)
    limit = limits(of_train)
    tables = []
    for name, found, nearest in ((generator, images, of_images), (REAL, train, of_train)):
        table = pd.DataFrame({"generator": name, "id": found.ids, "pathology": np.array(CLASSES)[found.labels]})
        table = table.assign(**nearest_columns(nearest, others), part=part[nearest.by_correlation])
        table[NEAR_COPY] = near_copies(nearest, limit).astype(int)
        certain = nearest.correlation > max(CERTAIN, limit.correlation)
        tables.append(table.assign(**{LEAK: np.where(certain, others.ids[nearest.by_correlation], "")}))
    return pd.concat(tables, ignore_index=True)
