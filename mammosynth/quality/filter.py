"""The filter: which synthetic images classifiers may see, by what the assessment found of each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.quality.measures import AS_INTENDED, HELD_OUT, NEAR_COPY, NIQE_REFITTED, REAL
from mammosynth.quality.novelty import judge


def refuse_memorising(generator: str, judged: pd.DataFrame, real: pd.DataFrame, trainings: int) -> None:
    """Stop at a training that gives back its training ROIs, by the rule that marks it in the report.

    trainings: how many the study has, see `mammosynth.quality.novelty.judge`; the others as for `filter_images`.

    Raises InputError with the reason.
    """
    held_out = real.loc[real["generator"] == HELD_OUT, NEAR_COPY]
    verdict = judge(judged[NEAR_COPY].to_numpy() > 0, held_out.to_numpy() > 0, trainings)
    if verdict.memorising:
        raise InputError(
            f"{generator} gives back ROIs of the training part, and quality.on_memorising is stop: {verdict.reason} "
            "Train it for fewer steps or with diffaugment, leave it out, or set quality.on_memorising to report"
        )


def filter_images(
    generator: str, synthetic: ImageSet, judged: pd.DataFrame, real: pd.DataFrame, limits: Mapping[str, Any]
) -> tuple[ImageSet, pd.DataFrame]:
    """The images that pass all *limits*, and a line an image: generator, id, pathology, dropped (the reasons, or "").

    judged, real: the assessment's tables of the generator's images and of real ROIs, a line an image; limits:
    the config's ``quality.filter``: ``copies`` and ``labels`` (bool), ``naturalness`` (None, or the percentile of the
    training ROIs' NIQE refitted above which an image is dropped; so is one that has no NIQE).

    Raises InputError if no image of a class passes.
    """
    judged = judged.set_index("id").loc[synthetic.ids.tolist()]
    reasons: dict[str, np.ndarray] = {}
    if limits["copies"]:
        reasons["near copy of a training ROI"] = judged[NEAR_COPY].to_numpy() > 0
    if limits["labels"]:
        reasons["taken for the other class"] = judged[AS_INTENDED].to_numpy() == 0
    if limits["naturalness"] is not None:
        of_training = real.loc[real["generator"] == REAL, NIQE_REFITTED]
        limit = np.nanpercentile(of_training, limits["naturalness"])
        reason = f"{NIQE_REFITTED} above {limit:.3g}, the {limits['naturalness']:g}th percentile of training ROIs"
        reasons[reason] = ~(judged[NIQE_REFITTED].to_numpy() <= limit)
    dropped = ["; ".join(name for name, found in reasons.items() if found[i]) for i in range(len(synthetic))]
    outcomes = pd.DataFrame(
        {
            "generator": generator,
            "id": synthetic.ids,
            "pathology": np.array(CLASSES)[synthetic.labels],
            "dropped": dropped,
        }
    )
    kept = synthetic[(outcomes["dropped"] == "").to_numpy()]
    for pathology in CLASSES:
        if not len(kept.of_class(pathology)):
            counts = outcomes.loc[outcomes["pathology"] == pathology, "dropped"].value_counts()
            found = ", ".join(f"{reason} ({count})" for reason, count in counts.items())
            raise InputError(
                f"the filter lets none of {generator}'s {len(synthetic.of_class(pathology))} {pathology} images "
                f"through: {found}; train the GAN for longer, loosen quality.filter, or leave the GAN out"
            )
    return kept, outcomes
