"""Whether the GANs of a study memorise, over all their trainings; whether images made elsewhere show held-out ROIs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from mammosynth.findings.names import NAMES_OF_PARTS, name_of
from mammosynth.quality.leaks import LEAK
from mammosynth.quality.measures import HELD_OUT, NEAR_COPY, REAL
from mammosynth.quality.novelty import Verdict, judge

SHOWN = 3  # leaks that a sentence names; the table has all


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
        f"{100 * pooled.share:.1f} % of the {pooled.n} synthetic images of {len(each)} runs and "
        f"{100 * pooled.real_share:.1f} % of the {pooled.n_real} held-out real ROIs are near copies of training ROIs. "
        f"Memorising, each run judged by itself: {'; '.join(marked) or 'none'}."
    )
    if not marked:
        reason += f" A share of less than {100 * unseen:.1f} % might go unseen in one of them."
    return replace(pooled, memorising=bool(marked), unseen=unseen, reason=reason)


def _verdict(images: pd.DataFrame, held_out: pd.DataFrame, trainings: int) -> Verdict:
    return judge(images[NEAR_COPY].to_numpy() > 0, held_out[NEAR_COPY].to_numpy() > 0, trainings)


@dataclass(frozen=True)
class Leaks:
    """Whether images made elsewhere show ROIs that no training may see, and what that rests on."""

    found: bool
    sentence: str


def leaks(tables: pd.DataFrame, draws: int | None = None) -> dict[str, dict[str, Leaks]]:
    """On generators whose images were made elsewhere, by modality and name.

    Leaks are found if one is certain, or if near copies are certainly more than `judge` lets pass in a fold and seed.

    tables: what `mammosynth.quality.leaks.find_leaks` returned, of all runs; draws: how many the study has, if they are
    not all in *tables*.
    """
    of_run = ["modality", "generator", "fold", "seed"]
    of_training = tables["generator"] == REAL
    images, real = tables[~of_training], tables[of_training].drop_duplicates(["modality", "fold", "id"])
    draws = draws or images.groupby(of_run).ngroups
    found: dict[str, dict[str, Leaks]] = {}
    for (modality, gan), own in images.groupby(["modality", "generator"], sort=False):
        reals = real[real["modality"] == modality]
        each = [_verdict(run, reals[reals["fold"] == fold], draws) for (fold, _), run in own.groupby(["fold", "seed"])]
        found.setdefault(modality, {})[name_of(gan)] = _on_leaks(own, _verdict(own, reals, draws), each)
    return found


def _on_leaks(images: pd.DataFrame, pooled: Verdict, each: list[Verdict]) -> Leaks:
    certain = images[images[LEAK].notna() & (images[LEAK] != "")].sort_values("correlation", ascending=False)
    certain = certain.drop_duplicates("id")
    many = any(one.memorising for one in each)
    share = f"{100 * pooled.share:.1f} % of its {pooled.n} images"
    share += f" of {len(each)} runs" if len(each) > 1 else ""
    share += (
        f" and {100 * pooled.real_share:.1f} % of {pooled.n_real} training ROIs, which are of other patients, are near "
        "copies of ROIs that no training may see"
    )
    if not len(certain) and not many:
        return Leaks(
            False,
            f"No sign that what made its images saw validation or test ROIs: {share}. It cannot be ruled out: copies "
            "that are turned or enlarged, and likeness short of copying, do not show.",
        )
    shown = [
        f"{row['id']} shows {row[LEAK]} ({NAMES_OF_PARTS[row['part']]}, correlation {row['correlation']:.2f})"
        for _, row in certain.head(SHOWN).iterrows()
    ]
    if (more := len(certain) - len(shown)) > 0:
        shown.append(f"and {more} more")
    named = f" {len(certain)} certainly: {'; '.join(shown)}." if shown else ""
    return Leaks(
        True,
        f"Validation or test ROIs are among its images: {share}.{named} Scores of classifiers that learned from them "
        "say nothing of new patients: take these images away, or leave the generator out.",
    )
