"""Tables that come with a database: rows of text, from CSV or Excel, that know where they stand."""

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mammosynth.databases.files import find, fold
from mammosynth.errors import InputError, Problems

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


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
        """The text of a column in lower case. Raises InputError if it is empty or none of *choices*."""
        if self.text(column).lower() not in choices:
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
        """The file below *root* that this row names, whatever its accents and capitals, as `find` has it.

        Raises InputError if there is none, or which one is meant is open.
        """
        place = self.place(root, name)
        path = find(root, place)
        if path is not None and path.is_file():
            return path
        raise InputError(f"{self} names {place}, which does not exist in {root}: add the file, or remove the row")


def read_csv(path: Path, columns: Iterable[str], optional: Iterable[str] = (), delimiter: str = ",") -> list[Row]:
    """The rows of a CSV file in UTF-8, with or without byte order mark and with any line ends; empty rows are left out.

    columns: those that the file must have; optional: those that are read where it has them. Its columns are those up to
    the first one without a name, as `find_columns` says. Raises InputError if the file is missing, is not UTF-8 or no
    CSV, or lacks one of *columns*, and one for all rows that are shorter than the columns, or have text that stands in
    none, as an unquoted text with a comma makes it.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: mend the path in the config, or make the file")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path} is not UTF-8 (line {line}): save it as CSV in UTF-8") from error
    _refuse_delimiter(path, text, columns, delimiter)
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter, strict=True)
    lines = []
    try:
        for cells in reader:
            lines.append((reader.line_num, cells))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num} is no CSV ({error}): save the table as CSV anew") from error
    (_, head), *lines = _strip(lines) or [(1, [])]
    found = find_columns(path, head, columns, optional)
    end = max(found.values()) + 1
    rows, problems = [], Problems()
    for number, cells in lines:
        with problems.gathered():
            if len(cells) < end or any(cells[end : end + 1] + cells[max(len(head), end) :]):
                raise InputError(
                    f"{path}, line {number} has {len(cells)} cells where the first line has {max(len(head), end)}"
                    f"{f', of which the first {end} have names' if len(head) > end else ''}: "
                    "complete it, or quote texts that hold commas"
                )
            if any(cells[:end]):
                rows.append(Row(path, number, {name: cells[place] for name, place in found.items()}))
    problems.refuse()
    return rows


def read_excel(path: Path, columns: Iterable[str], optional: Iterable[str] = ()) -> list[Row]:
    """The rows of the sheet of an Excel file that has all *columns*; whole numbers are text without a point.

    As for `read_csv`; what stands beside the columns, such as a legend, is not read. Raises InputError if the file is
    missing or unreadable, no sheet has the columns, or two have them that differ.
    """
    import openpyxl  # takes longer than all else here, and most databases have no Excel file

    if not path.is_file():
        raise InputError(f"{path} does not exist: add it, or mend root in the config")
    try:
        book = openpyxl.load_workbook(path, data_only=True)
        sheets = {
            sheet.title: _strip(enumerate(([_text(cell) for cell in cells] for cells in sheet.values), start=1))
            for sheet in book.worksheets
        }
    except Exception as error:  # of a broken file openpyxl raises almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read as an Excel file ({reason}): get it again, or save it anew") from error
    wanted = set(map(fold, columns))
    with_columns = [title for title, lines in sheets.items() if lines and wanted <= set(map(fold, lines[0][1]))]
    tables = []
    for title in with_columns or list(sheets)[:1] or [""]:
        (_, head), *lines = sheets.get(title) or [(1, [])]
        found = find_columns(path, head, columns, optional)
        cells = [(number, {name: line[place] for name, place in found.items()}) for number, line in lines]
        tables.append([Row(path, number, of_row) for number, of_row in cells if any(of_row.values())])
    if any([row.cells for row in table] != [row.cells for row in tables[0]] for table in tables):
        raise InputError(
            f"{path} has the sheets {', '.join(with_columns)}, which have these columns and differ: delete all but one"
        )
    return tables[0]


def find_columns(path: Path, head: list[str], columns: Iterable[str], optional: Iterable[str] = ()) -> dict[str, int]:
    """The place of each column of a table, from 0, by its name in the first line, *head*.

    Names that differ from those of *columns* and *optional* in capitals only are theirs. The table ends at the first
    empty cell of that line that follows a name: what stands to the right of it is a note.
    Raises InputError if it lacks one of *columns*, names one twice, or has one of them or of *optional* beyond its end.
    """
    first = next((place for place, name in enumerate(head) if name), 0)
    end = next((place for place in range(first, len(head)) if not head[place]), len(head))
    wanted = {fold(name): name for name in (*columns, *optional)}
    head = [wanted.get(fold(name), name) for name in head]
    names, beyond = head[first:end], set(head[end:])
    if cut_off := [name for name in wanted.values() if name in beyond and name not in names]:
        raise InputError(
            f"{path} has column {', '.join(cut_off)} beyond column {end + 1}, which has no name and so ends the table: "
            "name it, or delete it"
        )
    if missing := [name for name in columns if name not in names]:
        raise InputError(
            f"{path} has no column {', '.join(missing)}: its first line must name {', '.join(columns)}, "
            f'and is "{",".join(names)[:200]}"'
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f'{path} has two columns "{twice[0]}": keep one of them')
    return {name: first + place for place, name in enumerate(names)}


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


def _strip(lines: Iterable[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Numbered lines without the spaces around their cells, and without the empty ones."""
    stripped = ((number, [cell.strip() for cell in cells]) for number, cells in lines)
    return [(number, cells) for number, cells in stripped if any(cells)]


def _refuse_delimiter(path: Path, text: str, columns: Iterable[str], delimiter: str) -> None:
    """Raise InputError if the first line would name all columns, were it separated otherwise."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    names = {mark: {fold(cell.strip(" \"'")) for cell in head.split(mark)} for mark in DELIMITERS}
    wanted = set(map(fold, columns))
    if wanted <= names[delimiter]:
        return
    for mark, name in DELIMITERS.items():
        if wanted <= names[mark]:
            raise InputError(
                f"{path} separates its columns by {name}: save it anew as CSV in UTF-8, with {DELIMITERS[delimiter]}"
            )


def _text(cell: object) -> str:
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


__all__ = ["Row", "find_columns", "read_csv", "read_excel", "unique"]
