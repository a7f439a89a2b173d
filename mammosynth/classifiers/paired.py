"""Each run's networks compared in pairs: that of a mix with that of real images alone, on the same images.

These tests are of two trained networks on other patients.  Of what they were trained on they say nothing, as another
training might differ by more: verdicts come from `mammosynth.classifiers.scores`.
"""

import pandas as pd

from mammosynth.arrays.comparisons import delong, mcnemar_p
from mammosynth.classifiers.scores import REFERENCE
from mammosynth.classifiers.validation import YOUDEN, decided

COLUMNS = (
    "modality", "share", "fold", "seed", "part", "classifier", "mix", "n", "n_patients", "difference",
    "difference_low", "difference_high", "p", "only_mix_right", "only_real_right", "p_mcnemar",
)  # fmt: skip


def compare(predictions: pd.DataFrame) -> pd.DataFrame:
    """A row a run, part (``test``, ``external``) and mix other than ``real``, all databases of the part together.

    predictions: as `mammosynth.classifiers.scores.score` takes them.  n (images), n_patients; difference, its 95 %
    interval difference_low, difference_high, and p: of AUROC, by :func:`mammosynth.arrays.comparisons.delong`, for
    several images a patient; only_mix_right, only_real_right: images that one network alone calls rightly, each at its
    own Youden threshold, and p_mcnemar of these counts, which takes images for independent.  No p is adjusted.
    """
    tested = decided(predictions)
    malignant = tested["pathology"] == "malignant"
    tested = tested.assign(malignant=malignant, right=(tested["probability"] >= tested[YOUDEN]) == malignant)
    rows = []
    keys = ["modality", "share", "fold", "seed", "part", "classifier"]
    for key, of_run in tested.groupby(keys, sort=False):
        networks = {mix: images.sort_values("lesion_id") for mix, images in of_run.groupby("mix", sort=False)}
        real = networks.pop(REFERENCE, None)
        for mix, images in networks.items() if real is not None else ():
            patients = images["patient_id"].to_numpy(str)
            labels, probability = images["malignant"].to_numpy(int), images["probability"].to_numpy()
            auroc = delong(labels, probability, real["probability"].to_numpy(), patients)
            right, real_right = images["right"].to_numpy(), real["right"].to_numpy()
            of_pair = auroc.value, *auroc.interval(), auroc.p()
            of_calls = (right & ~real_right).sum(), (~right & real_right).sum(), mcnemar_p(right, real_right)
            rows.append((*key, mix, len(images), len(set(patients)), *of_pair, *of_calls))
    return pd.DataFrame(rows, columns=list(COLUMNS))
