"""Patient-disjoint folds: which lesions a study trains on, chooses with, and tests on."""

import math
import zlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from mammosynth.errors import InputError, Problems
from mammosynth.imageset import CLASSES, ImageSet

PARTS = ("train", "val", "test")
EXTERNAL = "external"  # the part of external test databases, the same in every split
LEAST = 8  # real images that limits can be set by
HALVINGS = 30  # each gives two values, one against each half
ATTEMPTS = 300  # at one of them
LARGEST = 2500  # images of a half: a larger database costs no more
UNUSED = "unused"  # of a training patient beyond the share that is trained on


def usable(lesions: pd.DataFrame) -> pd.DataFrame:
    """The lesions of a modality that are not excluded.

    Raises InputError, with the reasons, if none of a class is left: cropping and the search for lesions that are shown
    twice may exclude the last ones.
    """
    kept = lesions[lesions["excluded"] == ""]
    for pathology in CLASSES:
        of_class = lesions[lesions["pathology"] == pathology]
        if pathology not in set(kept["pathology"]):
            reasons = ", ".join(f"{reason} ({n})" for reason, n in of_class["excluded"].value_counts().items())
            raise InputError(
                f"{', '.join(lesions['modality'].unique())}: all {len(of_class)} {pathology} lesions are excluded "
                f"({reasons or 'there are none'}): mend these (see excluded in rois.csv), or add a database"
            )
    return kept


def assign_parts(lesions: pd.DataFrame, folds: int, fold: int, seed: int) -> pd.DataFrame:
    """Each lesion's part of fold *fold*.

    lesions: usable lesions with *group*, *modality*, *database*, *pathology* and *official_fold*. Groups (patients, or
    near-duplicates) are spread over *folds* folds so that each gets about the same share of each class of each
    database, *seed* decides the shuffle; or they stay in their official folds, where lesions have them. Fold f is the
    test part, fold (f + 1) mod *folds* the validation part, the others the training part. Returns lesion_id,
    patient_id (the group), database, pathology and part. Raises InputError if a class has fewer groups than there are
    folds, no database has as many lesions of any class, a part would lack a class, or the official folds are none of
    this study.
    """
    if not 0 <= fold < folds:
        raise InputError(f"fold {fold} is not one of 0 to {folds - 1}: mend folds in the config, or partition: folds")
    modality = ", ".join(lesions["modality"].unique())
    for pathology in CLASSES:
        n = lesions.loc[lesions["pathology"] == pathology, "group"].nunique()
        if n < folds:
            raise InputError(
                f"{modality} has {n} {pathology} patients or near-duplicate groups for {folds} folds: "
                "lower partition: folds in the config, or add lesions"
            )
    official = lesions["official_fold"].notna().any()
    of_fold = keep_official_folds(lesions, folds) if official else spread_groups(lesions, folds, seed)
    parts = np.full(len(lesions), "train", dtype=object)
    parts[of_fold == (fold + 1) % folds] = "val"
    parts[of_fold == fold] = "test"
    for part in PARTS:
        for pathology in CLASSES:
            if not ((parts == part) & (lesions["pathology"] == pathology)).any():
                raise InputError(
                    f"{modality}: the {part} part of fold {fold} has no {pathology} lesion: "
                    "lower partition: folds in the config, or choose another partition: seed"
                    + (", without official_folds" if official else "")
                )
    return _in_part(lesions, parts)


def reduce_training(parts: pd.DataFrame, share: int, seed: int) -> pd.DataFrame:
    """What `assign_parts` returns, with a *share* of the training patients, in per cent; the others' part is UNUSED.

    Patients of each database, those with a malignant lesion and those without, stand in one shuffled order that *seed*
    decides, and the first of them, at least one, are kept: so those of a smaller share are among those of a larger one.
    """
    patients = parts[parts["part"] == "train"].groupby("patient_id")
    strata = patients.agg(database=("database", "first"), malignant=("pathology", lambda of: (of == "malignant").any()))
    kept: set[str] = set()
    for stratum, members in strata.groupby(["database", "malignant"]):
        rng = np.random.default_rng([seed, zlib.crc32(repr(stratum).encode())])
        order = rng.permutation(sorted(members.index))
        kept |= set(order[: math.ceil(len(order) * share / 100)])
    unused = (parts["part"] == "train") & ~parts["patient_id"].isin(kept)
    return parts.assign(part=parts["part"].mask(unused, UNUSED))


def external_part(lesions: pd.DataFrame) -> pd.DataFrame:
    """The part EXTERNAL: what `assign_parts` returns for the lesions, excluded ones too, of external databases.

    None where there is no such database. Raises InputError, with the reasons, if no lesion of a class is left.
    """
    try:
        kept = usable(lesions) if len(lesions) else lesions
    except InputError as error:
        raise InputError(f"external databases: {error}") from error
    return _in_part(kept, EXTERNAL)


def _in_part(lesions: pd.DataFrame, part: str | np.ndarray) -> pd.DataFrame:
    columns = {"lesion_id": "lesion_id", "group": "patient_id", "database": "database", "pathology": "pathology"}
    return lesions[list(columns)].rename(columns=columns).assign(part=part)


def spread_groups(lesions: pd.DataFrame, folds: int, seed: int) -> np.ndarray:
    """Number of each lesion's fold, int [N]; a group is never split.

    Raises InputError if no database has as many lesions of any class as there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    strata = (lesions["database"] + " " + lesions["pathology"]).to_numpy()
    if pd.Series(strata).value_counts().max() < folds:
        raise InputError(
            f"{', '.join(lesions['database'].unique())} have fewer than {folds} lesions of each class: "
            "lower partition: folds in the config, or add lesions"
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    of_fold = np.empty(len(lesions), dtype=int)
    for number, (_, inside) in enumerate(splitter.split(strata, strata, lesions["group"].to_numpy())):
        of_fold[inside] = number
    return of_fold


def keep_official_folds(lesions: pd.DataFrame, folds: int) -> np.ndarray:
    """Number of each lesion's official fold, int [N].

    Raises InputError if a lesion has none, a fold is empty or beyond *folds*, or a group would be split: a patient, or
    near-duplicates that curation found and the makers of the folds did not.
    """
    of_fold = lesions["official_fold"]
    if of_fold.isna().any():
        without = ", ".join(sorted(lesions.loc[of_fold.isna(), "database"].unique()))
        raise InputError(
            f"{without} has no official folds but is pooled with a database whose official_folds are asked for: "
            "leave out official_folds, or that database"
        )
    if set(of_fold) != set(range(folds)):
        raise InputError(
            f"the official folds are {', '.join(str(fold) for fold in sorted(set(of_fold)))} of 0 to {folds - 1}: "
            "set partition: folds to official_folds"
        )
    refuse_split_groups(lesions)
    return of_fold.to_numpy(dtype=int)


def refuse_split_groups(lesions: pd.DataFrame) -> None:
    """Raise InputError if a group of usable lesions lies in several official folds, as it would be split.

    lesions: with *group*, *image_id*, *official_fold* and *excluded*. It is asked once, when the groups are known, lest
    each fold of a study fails by itself.
    """
    lesions = lesions[(lesions["excluded"] == "") & lesions["official_fold"].notna()]
    split = lesions[lesions.groupby("group")["official_fold"].transform("nunique") > 1]
    if len(split):
        groups = [
            ", ".join(f'"{image}" (fold {fold})' for image, fold in zip(group["image_id"], group["official_fold"]))
            for _, group in split.groupby("group")
        ]
        raise InputError(
            f"{', '.join(split['database'].unique())} has {len(groups)} patients or near-duplicate groups in several "
            f"official folds: {'; '.join(groups[:20])}{f'; and {len(groups) - 20} more' if len(groups) > 20 else ''}; "
            "list the images of all folds but one, by these names, in the source's exclusions, or leave out "
            "official_folds"
        )


def split_images(images: ImageSet, partition: pd.DataFrame) -> dict[str, ImageSet]:
    """The image set of each part, by the lesions' ids; those that the partition does not name are in none."""
    part = dict(zip(partition["lesion_id"], partition["part"]))
    parts = np.array([part.get(lesion, UNUSED) for lesion in images.ids])
    return {name: images[parts == name] for name in (*PARTS, EXTERNAL) if name in parts}


def refuse_unjudgeable(partitions: pd.DataFrame, evaluates: bool) -> None:
    """Refuse a study whose GANs could be trained and then not be judged.

    partitions: as for `count_parts`; evaluates: whether a GAN of the study chooses its step by the validation part.

    Raises InputError that names every split with a training part that has too few ROIs to tell near copies by or cannot
    be halved by patients, or a validation part that is too small to choose a step by.
    """
    problems = Problems()
    for (modality, split), rows in partitions.groupby(["modality", "split"], sort=False):
        where, train = f"{modality}, {split}", rows[rows["part"] == "train"]
        with problems.gathered():
            if len(train) < LEAST:
                raise InputError(
                    f"{where}: the training part has {len(train)} ROIs, and {LEAST} are needed to tell near copies by: "
                    "add more patients to the study"
                )
            labels = (train["pathology"] == "malignant").to_numpy(int)
            bare = ImageSet(np.empty((len(train), 0, 0)), labels, train["lesion_id"], train["patient_id"])
            try:
                halves(bare, np.random.default_rng(0))
            except InputError as error:
                raise InputError(f"{where}: {error}") from error
        for pathology in CLASSES if evaluates else ():
            with problems.gathered():
                found = rows[(rows["part"] == "val") & (rows["pathology"] == pathology)]
                if len(found) < 2:
                    raise InputError(
                        f"{where}: the validation part has {len(found)} {pathology} ROIs, too few to choose a step by: "
                        "lower partition: folds, add more patients, or set evaluate_every of the GANs to 0"
                    )
    problems.refuse()


def count_parts(partitions: pd.DataFrame) -> pd.DataFrame:
    """ROIs of each class, and patients, of each part.

    partitions: tables of `assign_parts`, one below the other, with columns *modality* and *split* added. Returns
    modality, split, database, part, benign, malignant and patients, the parts in the order of PARTS, then EXTERNAL; the
    database is ``all``, and each one where a modality has several (no such column where none has). External databases
    are counted by themselves: each, and ``all`` of them where there are several.
    """
    partitions = partitions[partitions["part"] != UNUSED]
    external = partitions["part"] == EXTERNAL
    pooled = partitions.groupby(["modality", external])["database"].transform("nunique") > 1
    counted = pd.concat([partitions[pooled | ~external].assign(database="all"), partitions[pooled | external]])
    names = ["all", *sorted(partitions["database"].unique())]
    counted = counted.assign(
        part=pd.Categorical(counted["part"], (*PARTS, EXTERNAL), ordered=True),
        database=pd.Categorical(counted["database"], names, ordered=True),
    )
    counts = counted.groupby(["modality", "split", "database", "part"], sort=True, observed=True).agg(
        benign=("pathology", lambda values: (values == "benign").sum()),
        malignant=("pathology", lambda values: (values == "malignant").sum()),
        patients=("patient_id", "nunique"),
    )
    counts = counts.reset_index().astype({"part": str, "database": str})
    return counts if (pooled | external).any() else counts.drop(columns="database")


def halves(
    train: ImageSet, rng: np.random.Generator, halvings: int = HALVINGS, most: Mapping[str, int] | None = None
) -> dict[str, np.ndarray]:
    """By class, positions [halvings, 2, m] of ROIs: two halves that share no patient, all of one size m.

    Patients go in random order to the half that keeps the classes more even; what a half has over m is left out. So is
    what halves have over ``LARGEST`` images of both classes together, in proportion, and over *most* of a class: each
    halving leaves out others. Of a few patients with many images some halvings leave a half with fewer than two images
    of a class: these are drawn again. A class without any ROI has no halves.

    Raises InputError if a class has too few patients for halves of two images.
    """
    names, patient = np.unique(train.patients, return_inverse=True)
    labels = [CLASSES.index(pathology) for pathology in train.classes]
    counts = np.stack([np.bincount(patient[train.labels == label], minlength=len(names)) for label in labels], 1)
    split: list[np.ndarray] = []
    failures = 0
    while len(split) < halvings and failures < ATTEMPTS:
        side, excess = np.zeros(len(names), int), np.zeros(len(labels), int)
        for p in rng.permutation(len(names)):
            uneven = [np.abs(excess + counts[p]).sum(), np.abs(excess - counts[p]).sum()]
            side[p] = rng.integers(2) if uneven[0] == uneven[1] else np.argmin(uneven)
            excess += counts[p] * (1 - 2 * side[p])
        of_sides = np.stack([counts[side == k].sum(0) for k in (0, 1)])
        if of_sides.min() >= 2:
            split.append(side[patient])
        failures = 0 if of_sides.min() >= 2 else failures + 1
    if len(split) < halvings:
        fewest = of_sides.min(0).argmin()
        raise InputError(
            f"the training part's {train.classes[fewest]} ROIs ({counts[:, fewest].sum()} of "
            f"{np.sum(counts[:, fewest] > 0)} patients) are too few to halve by patients, with two in each half: add "
            "more to the study"
        )
    parts, sizes = {}, {}
    for label, pathology in zip(labels, train.classes):
        parts[pathology] = [
            [rng.permutation(np.flatnonzero((train.labels == label) & (s == k))) for k in (0, 1)] for s in split
        ]
        sizes[pathology] = min(len(part) for pair in parts[pathology] for part in pair)
        sizes[pathology] = min(sizes[pathology], (most or {}).get(pathology, sizes[pathology]))
    share = min(1, LARGEST / sum(sizes.values()))
    taken = {pathology: max(2, int(share * size)) for pathology, size in sizes.items()}
    return {name: np.array([[part[: taken[name]] for part in pair] for pair in parts[name]]) for name in parts}
