"""Tidy rows of quality: what they say, and where they are from."""

import pandas as pd

COLUMNS = ["generator", "pathology", "measure", "value", "low", "high", "n", "n_reference", "failures"]


def tidy(rows: pd.DataFrame, modality: str, split: str, seed: int | str = "") -> pd.DataFrame:
    """The rows with the columns that say where they are from; real rows have no seed."""
    where = pd.DataFrame({"modality": modality, "split": split, "generator": rows["generator"], "seed": seed})
    return pd.concat([where, rows.drop(columns="generator")], axis=1)
