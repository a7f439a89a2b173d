"""What the validation part of a run decides on its other images: thresholds, and what its probabilities mean."""

import pandas as pd

from mammosynth.arrays.calibration import recalibrated, recalibration
from mammosynth.arrays.statistics import sensitivity_threshold, youden_threshold
from mammosynth.errors import InputError
from mammosynth.partition import EXTERNAL

RUN = ["modality", "share", "fold", "classifier", "mix", "seed"]
YOUDEN, AT_SENSITIVITY, CALIBRATED = "Youden", "sensitivity 95 %", "calibrated"
THRESHOLDS = {YOUDEN: youden_threshold, AT_SENSITIVITY: sensitivity_threshold}


def decided(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows of the test part and of the external one, with columns of what the validation part of their run decides.

    predictions: with columns ``fold`` and ``share``.  Added are a column a threshold, ``Youden`` and ``sensitivity
    95 %`` (on the validation part), from which ``probability`` is a call of malignant, and ``calibrated``, the
    probability at the validation part's prevalence (`mammosynth.arrays.calibration.recalibration`).

    Raises InputError if a run has no predictions of its validation part.
    """
    tested = predictions[predictions["part"].isin(["test", EXTERNAL])]
    validation = predictions[predictions["part"] == "val"]
    if alone := set(tested[RUN].itertuples(index=False)) - set(validation[RUN].itertuples(index=False)):
        modality, _, fold, classifier, mix, seed = min(alone)
        raise InputError(
            f"predictions of {modality}, fold {fold}, {classifier}, mix {mix}, seed {seed} lack its validation part; "
            "delete the predictions and run again"
        )
    decisions = []
    for run, images in validation.groupby(RUN):
        found = (images["pathology"] == "malignant").to_numpy(int), images["probability"].to_numpy(float)
        thresholds = {name: threshold(*found) for name, threshold in THRESHOLDS.items()}
        decisions.append(dict(zip(RUN, run)) | thresholds | dict(zip(("intercept", "slope"), recalibration(*found))))
    decided = tested.merge(pd.DataFrame(decisions), on=RUN, how="left", validate="many_to_one")
    decided[CALIBRATED] = recalibrated(*(decided[name].to_numpy() for name in ("probability", "intercept", "slope")))
    return decided.drop(columns=["intercept", "slope"])
