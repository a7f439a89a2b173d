"""How many images, lesions and patients each step of curation left."""

import pandas as pd

from mammosynth.imageset import CLASSES
from mammosynth.partition import EXTERNAL, PARTS

ALL = "all"
COUNTS = ["images", *CLASSES, "patients"]


def count_flow(
    images: pd.DataFrame, rois: pd.DataFrame, alike: pd.DataFrame, partitions: dict[int, pd.DataFrame]
) -> pd.DataFrame:
    """Tidy counts of each step from images to the parts of each fold, for each database and for all.

    images: as `mammosynth.curation.read_databases` gives them; rois, alike: the table of all lesions after cropping and
    the pairs of `mammosynth.curation.join_alike`; partitions: those of `mammosynth.partition.assign_parts` by fold.
    Returns step (``images``, ``no lesion``, ``lesions``, ``excluded``, ``ROIs``; ``joined``, ROIs that show a lesion of
    another patient, and ``to review``, ROIs that may; or a part), fold, database, reason, and the numbers of images,
    benign and malignant lesions, and patients (groups, where patients are not known) as far as a step has them.
    Patients count once where they are joined.
    """
    rows = []

    def add(step: str, table: pd.DataFrame, by: str | None = None, fold: int | None = None) -> None:
        for database, of_database in ((ALL, table), *table.groupby("database", sort=False)):
            for reason, members in of_database.groupby(by, sort=False) if by else [("", of_database)]:
                row = {"step": step, "fold": fold, "database": database, "reason": reason}
                row["images"] = members["image"].nunique()
                if "pathology" in members:
                    row |= {pathology: (members["pathology"] == pathology).sum() for pathology in CLASSES}
                    row["patients"] = members["group"].nunique()
                rows.append(row)

    used = rois[rois["excluded"] == ""]
    add("images", images)
    add("no lesion", images[images["lesions"] == 0], by="shows")
    add("lesions", rois)
    add("excluded", rois[rois["excluded"] != ""], by="excluded")
    add("ROIs", used)
    alike = alike[alike[["first", "second"]].isin(set(used["lesion_id"])).all(axis=1)]
    for step, pairs in (("joined", alike[alike["joined"]]), ("to review", alike[~alike["joined"]])):
        add(step, used[used["lesion_id"].isin(pairs[["first", "second"]].to_numpy().ravel())])
    for fold, partition in partitions.items():
        in_part = used.merge(partition[["lesion_id", "part"]], on="lesion_id", validate="one_to_one")
        for part in (*PARTS, *([EXTERNAL] if EXTERNAL in set(in_part["part"]) else [])):
            add(part, in_part[in_part["part"] == part], fold=fold)
    return pd.DataFrame(rows, columns=["step", "fold", "database", "reason", *COUNTS]).astype(
        dict.fromkeys(["fold", *COUNTS], "Int64")
    )
