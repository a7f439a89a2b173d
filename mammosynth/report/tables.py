"""How tables stand on a page: rows in groups, each with a heading and a row header."""

from collections.abc import Iterator

import pandas as pd


def grouped(table: pd.DataFrame, row: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Rows by what stands left of the column *row*, which heads each: the group's heading, and cells from there on.

    Groups stand in the order of their first rows.  A table without such columns is one group with no heading.
    """
    first = table.columns.get_loc(row)
    shown = table.astype(str)
    headings = [", ".join(cells) for cells in shown.iloc[:, :first].itertuples(index=False, name=None)]
    for heading in dict.fromkeys(headings):
        rows = [heading == other for other in headings]
        yield heading[:1].upper() + heading[1:], shown.iloc[:, first:][rows].to_numpy().tolist()


def value_and_interval(cell: str) -> tuple[str, str]:
    """``0.9`` and ``[0.8, 1.0]`` of "0.9 [0.8, 1.0]"; nothing for the second where there is none."""
    value, bracket, interval = cell.partition(" [")
    return value, f"[{interval}" if bracket else ""
