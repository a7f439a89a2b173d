"""Tables that come with a database: rows of text, from CSV or Excel, that know where they stand."""

import csv
import io
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mammosynth.errors import InputError, Problems


@dataclass(frozen=True)
class Row:
    """One row: its cells by column, without the spaces around them and "" where empty, and its line in the file."""

    path: Path
    number: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        """The text of a column; "" where the table has no such column."""
        return self.cells.get(column, "")

    def __str__(self) -> str:
        return f"{self.path}, line {self.number}"

    def text(self, column: str) -> str:
        """The text of a column. Raises InputError if it is empty."""
        if not self[column]:
            raise InputError(f"{self} has no {column}: fill it in, or remove the row")
        return self[column]

    def whole(self, column: str) -> int:
        """The whole number in a column; 12.0, as tables with gaps are often saved, is one. Raises InputError."""
        if not re.fullmatch(r"-?\d{1,9}(\.0*)?", self[column], re.ASCII):
            raise InputError(f'{self}: {column} is "{self[column]}", not a whole number: mend it')
        return int(self[column].partition(".")[0])

    def choice(self, column: str, choices: Iterable[str]) -> str:
        """The text of a column in lower case. Raises InputError if it is none of *choices*."""
        if self[column].lower() not in choices:
            raise InputError(f'{self}: {column} is "{self[column]}", not {" or ".join(choices)}: mend it')
        return self[column].lower()

    def place(self, root: Path, name: str) -> str:
        """Where a file that this row names lies below *root*, as a path with slashes.

        Backslashes separate folders too; an absolute path may lead below *root*. Raises InputError if *name* leaves it.
        """
        top = os.path.abspath(root)
        path = os.path.normpath(os.path.join(top, name.replace("\\", "/")))
        if not path.startswith(os.path.join(top, "")) or "\0" in path:
            raise InputError(f"{self} names {name!r}, which is no file below {root}: write its path below that folder")
        return Path(path).relative_to(top).as_posix()

    def file(self, root: Path, name: str) -> Path:
        """The file below *root* that this row names, however its accents are composed. Raises InputError."""
        place = self.place(root, name)
        composed = dict.fromkeys([place, *(unicodedata.normalize(form, place) for form in ("NFC", "NFD"))])
        for path in (root / form for form in composed):
            if len(path.name.encode()) < 256 and path.is_file():
                return path
        raise InputError(f"{self} names {place}, which does not exist in {root}: add the file, or remove the row")


def read_csv(path: Path, columns: Iterable[str], delimiter: str = ",") -> list[Row]:
    """The rows of a CSV file in UTF-8, with or without byte order mark and with any line ends; empty rows are left out.

    Raises InputError if the file is missing, is not UTF-8 or no CSV, or lacks one of *columns*, and one for all rows
    that are longer or shorter than the first line.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: mend the path in the config, or make the file")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path} is not UTF-8 (line {line}): save it as CSV in UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter, strict=True)
    lines = []
    try:
        for cells in reader:
            lines.append((reader.line_num, cells))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num} is no CSV ({error}): save the table as CSV anew") from error
    return _rows(path, lines, columns, delimiter)


def read_excel(path: Path, columns: Iterable[str]) -> list[Row]:
    """The rows of the sheet of an Excel file that has all *columns*; whole numbers are text without a point.

    Raises InputError if the file is missing or unreadable, or no sheet has the columns.
    """
    import openpyxl  # takes longer than all else here, and most databases have no Excel file

    if not path.is_file():
        raise InputError(f"{path} does not exist: add it, or mend root in the config")
    try:
        book = openpyxl.load_workbook(path, data_only=True)
        sheets = [[[_text(cell) for cell in cells] for cells in sheet.values] for sheet in book.worksheets]
    except Exception as error:  # of a broken file openpyxl raises almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read as an Excel file ({reason}): get it again, or save it anew") from error
    heads = [{cell.strip() for cell in sheet[0]} if sheet else set() for sheet in sheets]
    sheet = next((sheet for sheet, head in zip(sheets, heads) if head.issuperset(columns)), sheets[0] if sheets else [])
    return _rows(path, list(enumerate(sheet, start=1)), columns)


def unique(rows: Iterable[Row], column: str, problems: Problems) -> list[Row]:
    """The rows whose *column* is filled in and repeats no row above; *problems* gathers the others."""
    first: dict[str, Row] = {}
    for row in rows:
        with problems.gathered():
            key = row.text(column)
            if key in first:
                raise InputError(f'{row} repeats {column} "{key}" of line {first[key].number}: keep one of them')
            first[key] = row
    return list(first.values())


def _rows(path: Path, lines: list[tuple[int, list[str]]], columns: Iterable[str], delimiter: str = ",") -> list[Row]:
    head = [cell.strip() for cell in lines[0][1]] if lines else []
    while head and not head[-1]:
        head.pop()
    if missing := [column for column in columns if column not in head]:
        raise InputError(
            f"{path} has no column {', '.join(missing)}: its first line must name {', '.join(columns)}, "
            f'and is "{delimiter.join(head)[:200]}" (columns are separated by {delimiter!r})'
        )
    if twice := sorted({name for name in head if name and head.count(name) > 1}):
        raise InputError(f'{path} has two columns "{twice[0]}": keep one of them')
    rows, problems = [], Problems()
    for number, cells in lines[1:]:
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        with problems.gathered():
            if len(cells) < len(head) or any(cells[len(head) :]):
                raise InputError(
                    f"{path}, line {number} has {len(cells)} cells where the first line has {len(head)}: "
                    "complete it, or quote texts that hold commas"
                )
            rows.append(Row(path, number, dict(zip(head, cells))))
    problems.refuse()
    return rows


def _text(cell: object) -> str:
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


__all__ = ["Row", "read_csv", "read_excel", "unique"]
