"""Bad input, for every reader: one clear error, an exclusion with a reason, or the same reading; never another label.

The small set of each reader (`databases_for_tests.SMALL`) is broken file by file and cell by cell.
"""

import codecs
import csv
import io
import re
import shutil
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from databases_for_tests import SMALL as SMALL_OTHERS
from databases_for_tests import settings
from test_cbis_ddsm import write_cbis_ddsm
from test_inbreast import write_inbreast

from mammosynth.curation import read_lesions
from mammosynth.databases import READERS, open_source, read_database
from mammosynth.databases.lesion import IMAGE_SUFFIXES, Lesion
from mammosynth.errors import InputError
from mammosynth.rois import crop_rois

SMALL = SMALL_OTHERS | {
    "cbis_ddsm": lambda root: write_cbis_ddsm(root) or {},
    "inbreast": lambda root: write_inbreast(root) or {},
}

# In these databases the files themselves are the list: without one there is one lesion less.
LISTED_BY_NOTHING = {"rois"}
FACTS = attrgetter("database", "pathology", "patient_id", "x0", "y0", "x1", "y1", "image", "mask", "excluded")


class Database:
    """A small set, what it is read as, and its files, which are restored after each change."""

    def __init__(self, reader: str, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.settings = settings(reader, root, **SMALL[reader](root))
        self.files = {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
        self.lesions, self.rois = self.read(crop=True)
        used = {name for x in self.lesions.values() if not x.excluded for name in (x.image, *x.mask.split(";")) if name}
        self.used = sorted(map(Path, used))
        self.tables = [path for path in self.files if path.suffix in (".csv", ".xlsx", ".txt") and self.needs(path)]
        self.images = [path for path in self.files if path.suffix.lower() in IMAGE_SUFFIXES]

    def read(self, crop: bool = False) -> tuple[dict[str, Lesion], dict[str, np.ndarray]]:
        """Lesions by their id and, after curation, their ROIs."""
        lesions = {x.lesion_id: x for x in read_database(open_source("db", self.settings)).lesions}
        if not crop:
            return lesions, {}
        images, table = crop_rois(read_lesions({"db": self.settings}), size=128, margin=0.2, min_side=8)
        excluded = dict(zip(table["lesion_id"], table["excluded"]))
        assert set(excluded) == set(lesions)
        return {x: replace(lesions[x], excluded=excluded[x]) for x in lesions}, dict(zip(images.ids, images.images))

    def needs(self, path: Path) -> bool:
        """Whether anything is read otherwise without this file."""
        with self.changed():
            path.unlink()
            return judge(self, []) != ("read", set())

    @contextmanager
    def changed(self) -> Iterator[None]:
        try:
            yield
        finally:
            for path in sorted(self.root.rglob("*"), reverse=True):
                if path.is_dir() and path in self.files:
                    path.rmdir()
                elif path.is_file() and path not in self.files:
                    path.unlink()
            for path, content in self.files.items():
                if not path.is_file() or path.read_bytes() != content:
                    path.write_bytes(content)

    def lesions_of(self, path: Path) -> set[str]:
        return {key for key, x in self.lesions.items() if str(path) in (x.image, *x.mask.split(";"))}

    def is_last_of_several(self, path: Path) -> bool:
        """Whether a mask is the last of several: BUSI has no table that counts them."""
        return any(x.mask.endswith(f";{path}") for x in self.lesions.values())


@pytest.fixture(scope="module", params=sorted(SMALL))
def database(request, tmp_path_factory) -> Database:
    return Database(request.param, tmp_path_factory.mktemp("fuzz") / request.param)


def judge(database: Database, words: list[list[str]], crop: bool = False) -> tuple[str, set[str]]:
    """What became of a changed database, and the lesions that are read otherwise than before.

    "refused", if an error names one word of each of *words*; "read", if what is read otherwise is excluded with a
    reason; "unexcluded", if it is not; or what is wrong. Another exception than InputError is no answer at all.
    """
    before = database.lesions
    try:
        after, rois = database.read(crop)
    except InputError as error:
        missing = [any_of for any_of in words if not any(word in str(error) for word in any_of)]
        return (f'"{error}" does not name {missing}' if missing else "refused"), set()
    gone, new = set(before) - set(after), set(after) - set(before)
    if len(gone) == len(new) == 1 and after[min(new)].excluded:
        return "read", gone  # under another name, and excluded with a reason
    if gone or new:
        return f"lesions vanished or appeared without a word: {gone | new}", set()
    if changed := {x for x in before if before[x].pathology != after[x].pathology}:
        return f"labels changed: {changed}", changed
    differ = {x for x in before if FACTS(before[x]) != FACTS(after[x])}
    if crop:
        differ |= {x for x in rois if x not in database.rois or not np.array_equal(rois[x], database.rois[x])}
    return ("read" if all(after[x].excluded for x in differ) else "unexcluded"), differ


def names_of(path: Path) -> list[str]:
    """By what an error may name a missing file: its name, or the number that its table or contours know it by."""
    return [path.name, *re.findall(r"\d{3,}", path.stem)[:1]]


def test_every_reader_has_a_small_set():
    """One function a reader in tests/databases_for_tests.py, so that a new reader is fuzzed by being there."""
    assert set(SMALL) == set(READERS)


def bomb(content: bytes) -> bytes:
    """A PNG whose header claims 60,000 × 60,000 pixels; other content as it is."""
    if not content.startswith(b"\x89PNG"):
        return content
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


IMAGE_FAULTS = {
    "truncated": lambda content: content[: len(content) // 2],
    "a header alone": lambda content: content[:33],
    "empty": lambda content: b"",
    "text": lambda content: "Größe\n".encode() * 20,
    "zeros": lambda content: bytes(len(content)),
    "a bomb": bomb,
}


@pytest.mark.parametrize("fault", IMAGE_FAULTS)
def test_broken_images(database, fault):
    faults = []
    for path in database.images:
        content = IMAGE_FAULTS[fault](database.files[path])
        if content == database.files[path]:
            continue
        with database.changed():
            path.write_bytes(content)
            verdict, differ = judge(database, [[path.name]], crop=True)
        noticed = verdict == "refused" or (verdict == "read" and differ)
        if not (noticed or (verdict == "read" and path not in database.used)) or differ - database.lesions_of(path):
            faults.append((path.name, verdict, differ))
    assert not faults


def test_missing_images(database):
    faults = []
    for path in database.used:
        with database.changed():
            path.unlink()
            verdict, differ = judge(database, [names_of(path)])
        own = database.lesions_of(path)
        alone = database.settings["reader"] in LISTED_BY_NOTHING and verdict.endswith(f"{own}")
        noticed = verdict == "refused" or (verdict == "read" and differ and differ <= own)
        if not (noticed or alone or database.is_last_of_several(path)):
            faults.append((path.name, verdict, differ))
    assert not faults


def test_a_folder_in_place_of_an_image(database):
    faults = []
    for path in database.used:
        with database.changed():
            path.unlink()
            path.mkdir()
            verdict, differ = judge(database, [names_of(path)])
        if not (verdict == "refused" or (verdict == "read" and differ and differ <= database.lesions_of(path))):
            faults.append((path.name, verdict, differ))
    assert not faults


@pytest.mark.parametrize("suffix", [".jpg", ".dcm", ".txt", ".part", ""])
def test_wrong_extensions(database, suffix):
    faults = []
    for path in database.used:
        with database.changed():
            path.rename(path.with_suffix(suffix))
            verdict, differ = judge(database, [[path.stem, *names_of(path)]])
        if verdict not in ("refused", "read", "unexcluded") or differ - database.lesions_of(path):
            faults.append((path.name, verdict, differ))
    assert not faults


def test_a_mask_for_no_image(database):
    """A copy of each mask under a name of its own."""
    faults = []
    for path in set(database.used) - {Path(x.image) for x in database.lesions.values()}:
        with database.changed():
            shutil.copy(path, path.with_name(re.sub(r"\d+", "777", path.name, count=1)))
            verdict, differ = judge(database, [["777"]])
        if differ or verdict not in ("refused", "read"):
            faults.append((path.name, verdict, differ))
    assert not faults


def is_row(path: Path, number: int, cells: list[str]) -> bool:
    """Whether line *number*, from 1, of a table is one of its rows; Info.txt has prose around them."""
    return bool(cells) and (cells[0].startswith("mdb") if path.suffix == ".txt" else number > 1)


def delimiter(path: Path) -> str:
    head = path.read_text(encoding="utf-8").partition("\n")[0]
    return ";" if head.count(";") > head.count(",") else ","


def load(path: Path) -> list[list[str]]:
    if path.suffix == ".xlsx":
        return [list(cells) for cells in openpyxl.load_workbook(path).active.values]
    if path.suffix == ".txt":
        return [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter=delimiter(path)))


def write(lines: list[list[str]], path: Path) -> None:
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for cells in lines:
            book.active.append(cells)
        book.save(path)
    elif path.suffix == ".txt":
        path.write_text("\n".join(" ".join(cells) for cells in lines), encoding="utf-8")
    else:
        mark = delimiter(path)
        text = io.StringIO()
        csv.writer(text, delimiter=mark).writerows(lines)
        path.write_text(text.getvalue(), encoding="utf-8", newline="")


def line_of(path: Path, index: int) -> int:
    """The line on which row *index*, from 0, of a table ends: a quoted text may hold a line end."""
    if path.suffix != ".csv":
        return index + 1
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.reader(file, delimiter=delimiter(path))
        for _ in zip(range(index + 1), reader):
            pass
        return reader.line_num


ALWAYS = ["", "no number", "/etc/passwd", "../../../../etc/passwd", "Ünïcödé 名"]
CELLS = [
    "-1", "12.5", "1e999", "nan", "9" * 30, "٣", "C:\\Windows\\a.png", "..\\..\\a.png", ".", "~", "x" * 5000, "a,b;c&d",
    "{0}", "%s", "=1+1", "\u202e", "\t",
]  # fmt: skip


def test_a_table_may_hold_anything(database):
    """Each cell of two rows in turn: the file and the line are named, or it is a cell of that row's lesion alone."""
    faults = []
    for path in database.tables:
        lines = load(path)
        rows = [index for index, cells in enumerate(lines) if is_row(path, index + 1, cells)]
        for index, column in [(row, c) for row in (rows[0], rows[-1]) for c in range(len(lines[row]))]:
            for cell in ALWAYS if index == rows[0] else CELLS[column % 3 :: 3]:
                broken = [list(line) for line in lines]
                broken[index][column] = cell
                with database.changed():
                    write(broken, path)
                    place = [f"line {line_of(path, index)}", f'"{cell.strip() or lines[index][0]}"']
                    verdict, differ = judge(database, [[path.name], place])
                if verdict not in ("refused", "read", "unexcluded") or len(differ) > 1:
                    faults.append((path.name, index + 1, column, cell[:40], verdict, differ))
    assert not faults


def test_missing_columns(database):
    faults = []
    for path in database.tables:
        lines = load(path)
        (width,) = {len(cells) for cells in lines} if path.suffix != ".txt" else {4}
        for column in range(width):
            broken = [
                cells[:column] + cells[column + 1 :] if path.suffix != ".txt" or is_row(path, 0, cells) else cells
                for cells in lines
            ]
            named = [[path.name]] if path.suffix == ".txt" else [[path.name], [str(lines[0][column]), "line 2"]]
            with database.changed():
                write(broken, path)
                verdict, differ = judge(database, named)
            if verdict not in ("refused", "read") or differ:
                faults.append((path.name, column, verdict, differ))
    assert not faults


def test_columns_may_stand_in_any_order(database):
    for path in database.tables:
        if path.suffix == ".txt":
            continue
        with database.changed():
            write([cells[::-1] for cells in load(path)], path)
            assert judge(database, []) == ("read", set())


def test_repeated_rows(database):
    faults = []
    for path in database.tables:
        lines = load(path)
        rows = [index for index, cells in enumerate(lines) if is_row(path, index + 1, cells)]
        for index in rows:
            with database.changed():
                write([*lines[: rows[-1] + 1], lines[index], *lines[rows[-1] + 1 :]], path)
                verdict, differ = judge(database, [[path.name], [f"line {line_of(path, rows[-1] + 1)}"]])
            if verdict not in ("refused", "read") or differ:
                faults.append((path.name, index + 1, verdict, differ))
    assert not faults


def test_rows_for_no_image(database):
    """Each row taken out, unless the table itself is the list: the image that has no row now is named."""
    faults = []
    for path in database.tables:
        lines = load(path)
        for index, cells in enumerate(lines):
            if not is_row(path, index + 1, cells) or database.settings["reader"] in ("table", "mini_mias"):
                continue
            with database.changed():
                write(lines[:index] + lines[index + 1 :], path)
                verdict, differ = judge(database, [[path.name, "no row"]])
            if verdict != "refused":
                faults.append((path.name, index + 1, verdict, differ))
    assert not faults


def cut(content: bytes) -> bytes:
    """A text that ends within its last row but one, an archive cut in half."""
    lines = content.rstrip().splitlines(keepends=True)
    return content[: len(content) // 2] if content.startswith(b"PK") else b"".join(lines[:-2]) + lines[-2][:3]


TABLE_FAULTS = {
    "empty": lambda content: b"",
    "truncated": cut,
    "the first line alone": lambda content: b"" if content.startswith(b"PK") else content.splitlines()[0],
    "zeros": lambda content: bytes(len(content)),
    "UTF-16": lambda content: content if content.startswith(b"PK") else content.decode().encode("utf-16"),
    "Latin-1": lambda content: content if content.startswith(b"PK") else content + b"\xff\xfe",
    "an open quote": lambda content: content if content.startswith(b"PK") else content.rstrip() + b'\n"open',
    "an image": lambda content: b"\x89PNG\r\n\x1a\n" + bytes(100),
    "an empty archive": lambda content: b"PK\x05\x06" + bytes(18),
}


@pytest.mark.parametrize("fault", TABLE_FAULTS)
def test_broken_tables(database, fault):
    faults = []
    for path in database.tables:
        content = TABLE_FAULTS[fault](database.files[path])
        if content == database.files[path]:
            continue
        with database.changed():
            path.write_bytes(content)
            verdict, differ = judge(database, [[path.name, "no row"]])
        # what follows the table of Info.txt is prose
        if verdict != "refused" and not (path.suffix == ".txt" and (verdict, differ) == ("read", set())):
            faults.append((path.name, verdict, differ))
    assert not faults


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8], ids=["no mark", "byte order mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["Unix", "Windows", "old Mac"])
@pytest.mark.parametrize("last", [b"", b"\n", b"\n\n\n"], ids=["no last end", "one", "empty lines"])
def test_line_ends_and_byte_order_marks_are_as_good_as_any(database, mark, end, last):
    for path in database.tables:
        if path.suffix == ".xlsx":
            continue
        with database.changed():
            path.write_bytes(mark + (database.files[path].rstrip() + last).replace(b"\n", end))
            assert judge(database, []) == ("read", set()), path


def test_a_folder_may_have_any_name(database):
    root = database.root.with_name(f"Müller & Söhne – 名 ({database.root.name})")
    shutil.copytree(database.root, root)
    source = open_source("db", {**database.settings, "root": str(root)})
    moved = {x.lesion_id: x for x in read_database(source).lesions}
    assert {Path(x.image).is_relative_to(root) for x in moved.values()} == {True}
    for key, lesion in database.lesions.items():
        assert FACTS(replace(moved[key], image=lesion.image, mask=lesion.mask)) == FACTS(lesion)
