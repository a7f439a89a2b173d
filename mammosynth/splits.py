"""Splits: a fold, and the share of its training patients that is trained on.

A split is named as its folder: ``fold0``, or ``fold0-share25`` where a quarter of the fold's patients are used.
The validation and the test part are the fold's, whatever the share. Light on purpose: the workflow imports it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammosynth.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

WHOLE = 100  # per cent: all training patients of a fold
NAME = re.compile(r"fold(?P<fold>\d+)(-share(?P<share>\d+))?")
# Where files of a split lie below its folder: a kind of file, then what it is of, a GAN or a mix of a classifier.
PLACE = re.compile(
    r"results/(?P<modality>[^/]+)/(?P<split>fold[^/]+)"
    r"(/[^/]+(/(?P<classifier>[^/]+))?/(?P<name>[^/]+)/seed(?P<seed>\d+)[^/]*)?"
)


@dataclass(frozen=True)
class Split:
    """One fold and the share, in per cent, of its training patients."""

    fold: int
    share: int = WHOLE

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"fold{self.fold}" + (f"-share{self.share}" if self.share != WHOLE else "")


def read_name(name: str) -> Split:
    """The split of a name. Raises InputError if it is none."""
    match = NAME.fullmatch(name)
    if not match:
        raise InputError(f"{name} is no split: write fold0, or fold0-share25 for 25 % of its training patients")
    return Split(int(match["fold"]), int(match["share"] or WHOLE))


def splits_of(config: Mapping[str, Any], share: int | None = None) -> list[str]:
    """Names of the splits of a study, those of whole training parts first; of one *share* if that is given."""
    shares = sorted(config["shares"], reverse=True) if share is None else [share]
    return [Split(fold, share).name for share in shares for fold in config["folds"]]


def place_of(path: str | Path) -> dict[str, str]:
    """What a file's place says: modality and split, and name (of a GAN, or of a mix and its classifier) and seed.

    Those that it does not say are left out.

    Raises InputError if the path is of no split.
    """
    match = PLACE.search(Path(path).as_posix())
    if not match:
        raise InputError(f"{path} does not lie in the folder of a split, results/<modality>/fold<k>")
    return {key: value for key, value in match.groupdict().items() if value is not None}


def by_run(files: Iterable[str | Path], name: str) -> dict[tuple[str, int], str]:
    """Those *files* that are of a GAN, by their split and seed."""
    places = {str(file): place_of(file) for file in files}
    return {(place["split"], int(place["seed"])): file for file, place in places.items() if place.get("name") == name}


def tabulate(names: list[str]) -> "pd.DataFrame":
    """A row a split: split, fold and share, in the order of *names*."""
    import pandas as pd

    found = [read_name(name) for name in names]
    return pd.DataFrame(
        {"split": names, "fold": [split.fold for split in found], "share": [split.share for split in found]}
    )


def read_rows(files: list[str | Path], splits: "pd.DataFrame") -> "pd.DataFrame":
    """CSV files below each other, with the fold and the share of the split that each row names.

    Raises InputError if a row names a split that is not among *splits*.
    """
    import pandas as pd

    rows = pd.concat(
        [pd.read_csv(file, dtype={"database": str, "lesion_id": str}) for file in files], ignore_index=True
    )
    if unknown := sorted(set(rows["split"]) - set(splits["split"])):
        raise InputError(
            f"{files[0]} and its fellows name {unknown[0]}, no split of this study: delete them, run again"
        )
    return rows.merge(splits, on="split", how="left", validate="many_to_one")
