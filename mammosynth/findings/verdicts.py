"""Whether the GANs of a study memorise, over all their trainings."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from mammosynth.findings.names import name_of
from mammosynth.quality.measures import HELD_OUT, NEAR_COPY
from mammosynth.quality.novelty import Verdict, judge


def verdicts(
    images: pd.DataFrame, real_images: pd.DataFrame, trainings: int | None = None
) -> dict[str, dict[str, Verdict]]:
    """On each GAN's novelty, by modality and name: a training that memorised marks its GAN, and nothing else does.

    Each training is judged by itself, as the images of the others would hide it. Of a GAN of several, shares and counts
    are those of all its images together.

    images, real_images: the assessment's tables with a line an image, synthetic and real, of all runs; trainings: how
    many the study has, if they are not all in *images*.
    """
    of_training = ["modality", "generator", "fold", "seed"]
    trainings = trainings or images.groupby(of_training).ngroups
    held_out = real_images[real_images["generator"] == HELD_OUT]
    found: dict[str, dict[str, Verdict]] = {}
    for (modality, gan), own in images.groupby(["modality", "generator"], sort=False):
        reals = held_out[held_out["modality"] == modality]
        each = {
            f"fold {fold}, seed {seed}": _verdict(training, reals[reals["fold"] == fold], trainings)
            for (fold, seed), training in own.groupby(["fold", "seed"])
        }
        found.setdefault(modality, {})[name_of(gan)] = (
            next(iter(each.values())) if len(each) == 1 else _together(_verdict(own, reals, trainings), each)
        )
    return found


def _together(pooled: Verdict, each: Mapping[str, Verdict]) -> Verdict:
    """The verdict on a GAN of several trainings, with the numbers of all its images."""
    marked = [f"{name} ({100 * one.share:.1f} % of {one.n})" for name, one in each.items() if one.memorising]
    unseen = max(one.unseen for one in each.values())
    reason = (
        f"{100 * pooled.share:.1f} % of the {pooled.n} synthetic images of {len(each)} trainings and "
        f"{100 * pooled.real_share:.1f} % of the {pooled.n_real} held-out real ROIs are near copies of training ROIs. "
        f"Memorising, each training judged by itself: {'; '.join(marked) or 'none'}."
    )
    if not marked:
        reason += f" A share of less than {100 * unseen:.1f} % might go unseen in one of them."
    return replace(pooled, memorising=bool(marked), unseen=unseen, reason=reason)


def _verdict(images: pd.DataFrame, held_out: pd.DataFrame, trainings: int) -> Verdict:
    return judge(images[NEAR_COPY].to_numpy() > 0, held_out[NEAR_COPY].to_numpy() > 0, trainings)
