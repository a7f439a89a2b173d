"""mini-MIAS, the Mammographic Image Analysis Society's films at 200 µm a pixel.

Layout: ``Info.txt`` and the films ``mdb001.pgm`` to ``mdb322.pgm`` (binary PGM, 1024×1024, 8 bit) in one folder. The
root is that folder, or the folder that holds it as ``all-mias``.
Info.txt: after a page of prose, one row an abnormality: film, tissue (F, G, D), class, severity (B, M), and the centre
x, y and radius of a circle around it, in pixels. **The y axis starts at the bottom**: row = 1024 − y (with it the
contrast of the circle to its surroundings is that of a mass in 58 of 58 masses, without it in 36).
Label rule: the severity of the masses, that is of rows of class CIRC, SPIC or MISC (39 B and 20 M); calcifications,
distortions and asymmetries are no masses and are not read. A mass without coordinates (mdb059) is excluded.
Patients: films come in pairs, left (even number) and right (odd), so patient = (number + 1) // 2. All are MLO views.
"""

import codecs
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mammosynth.databases.database import Database
from mammosynth.databases.files import list_files, refuse_alike
from mammosynth.databases.lesion import NO_COORDINATES, Lesion, Problems, Reading, Source, sides
from mammosynth.databases.pixels import read_size
from mammosynth.errors import InputError

FOLDER = "all-mias"
INFO = "Info.txt"
SUFFIX = ".pgm"
SIDE = 1024
MASSES = ("CIRC", "SPIC", "MISC")
OTHERS = {"CALC": "calcification", "ARCH": "architectural distortion", "ASYM": "asymmetry"}
PATHOLOGY = {"B": "benign", "M": "malignant"}

DATABASE = Database(
    title="mini-MIAS",
    licence="research only (Licence.txt of the database)",
    citation='J. Suckling et al., "The Mammographic Image Analysis Society digital mammogram database", Excerpta '
    "Medica, International Congress Series 1069:375-378 (1994)",
    tried="its real Info.txt and 122 of its films, among them all that show an abnormality",
    lesions={"benign": 39, "malignant": 20},
    files=[{"address": "http://peipa.essex.ac.uk/pix/mias/all-mias.tar.gz"}],
    # Patients are known, and a hash of a whole film tells the outline of the breast rather than the mass. Nothing is
    # gained: of the 7,381 pairs of 122 films (all abnormal ones), the nearest differ in 54 of 256 bits.
    near_duplicates=None,
    phantoms="mammosynth.databases.phantoms.mammography",
)

_ROW = re.compile(
    r"(?P<film>mdb(?P<number>\d{3,}))\s+[FGD]\s+"
    r"(?:NORM|(?P<kind>CALC|CIRC|SPIC|MISC|ARCH|ASYM)\s+(?P<severity>[BM])"
    r"(?:\s+(?P<x>\d+)\s+(?P<y>\d+)\s+(?P<radius>\d+)|\s+\*NOTE\s*3\*)?)"
)


@dataclass(frozen=True)
class Row:
    """One row of Info.txt: *kind* and *severity* are None for a normal film, *circle* (x, y from the bottom, radius)
    is None where no coordinates are given."""

    film: str
    number: int
    kind: str | None
    severity: str | None
    circle: tuple[int, int, int] | None


def read(source: Source) -> Reading:
    """The masses of mini-MIAS, or of phantoms in its layout.

    Raises InputError, one for all rows and files at fault, if Info.txt is missing or a row of it does not parse, a
    film of a mass is missing or of another size, or a film has no row.
    """
    folder = source.root / FOLDER if (source.root / FOLDER).is_dir() else source.root
    if not (folder / INFO).is_file():
        raise InputError(f"{folder} holds no {INFO}: point root of {source.name} at the folder of {INFO} and mdb*.pgm")
    rows = parse_info(folder / INFO)
    found = [path for path in list_files(folder) if path.suffix.lower() == SUFFIX]
    refuse_alike(found)
    films = {path.name.lower(): path for path in found}
    if not films:
        raise InputError(f"{folder} holds no film such as mdb001.pgm: unpack the films beside {INFO}")
    problems = Problems()
    for name in sorted(set(films) - {f"{row.film}.pgm" for row in rows}):
        with problems.gathered():
            raise InputError(f"{films[name]} has no row in {INFO}: add one, or take the film out of the folder")
    with problems.gathered():
        source.check_lists(f"{row.film}.pgm" for row in rows)
    reading = Reading([], [films[f"{row.film}.pgm"] for row in rows if not row.kind and f"{row.film}.pgm" in films])
    with_mass = {row.film for row in rows if row.kind in MASSES}
    reading.passed_over = {
        films[f"{row.film}.pgm"]: f"no mass ({OTHERS[row.kind]})"
        for row in rows
        if row.kind in OTHERS and row.film not in with_mass and f"{row.film}.pgm" in films
    }
    count: Counter[str] = Counter()
    for row in rows:
        if row.severity is None or row.kind not in MASSES:
            continue
        count[row.film] += 1
        path = films.get(f"{row.film}.pgm", folder / f"{row.film}.pgm")
        excluded = source.excluded(f"{row.film}.pgm")
        with problems.gathered():
            if not excluded:
                _check_film(path)
            reading.lesions.append(
                Lesion(
                    lesion_id=f"{source.name}/{row.film}-{count[row.film]}",
                    patient_id=str((row.number + 1) // 2),
                    database=source.name,
                    modality=source.modality,
                    image=str(path),
                    image_id=f"{row.film}.pgm",
                    mask="",
                    **sides(circle_box(*row.circle) if row.circle else None),
                    pathology=PATHOLOGY[row.severity],
                    view="R MLO" if row.number % 2 else "L MLO",
                    excluded=excluded or ("" if row.circle else NO_COORDINATES),
                )
            )
    problems.refuse()
    return reading


def parse_info(path: Path) -> list[Row]:
    """The rows of Info.txt, in order.

    Its table is the part between two ruled lines (``====``) that names films. Raises InputError that names each line
    of it that is no row, or that repeats another.
    """
    text = path.read_bytes().removeprefix(codecs.BOM_UTF8).decode("latin-1")
    lines = [line.strip() for line in text.splitlines()]
    first = next((i for i, line in enumerate(lines) if re.match(r"mdb\d", line)), None)
    if first is None:
        raise InputError(f"{path} has no row such as mdb001 G CIRC B 535 425 197: restore the file of the database")
    while first and not lines[first - 1].startswith("=="):
        first -= 1
    problems = Problems()
    rows: list[Row] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines[first:], start=first + 1):
        if line.startswith("=="):
            break
        if not line:
            continue
        with problems.gathered():
            rows.append(_parse_row(line, f"{path}, line {number}"))
            words = " ".join(line.split())
            if words in seen:
                raise InputError(f'{path}, line {number} repeats line {seen[words]} ("{line}"): remove one of them')
            seen[words] = number
    problems.refuse()
    return rows


def circle_box(x: int, y: int, radius: int) -> tuple[int, int, int, int]:
    """Half-open box, row 0 at the top, of a circle whose y is counted from the bottom; may cross the border."""
    row = SIDE - y
    return x - radius, row - radius, x + radius + 1, row + radius + 1


def _parse_row(line: str, place: str) -> Row:
    match = _ROW.fullmatch(line)
    if match is None:
        raise InputError(f'{place} does not parse ("{line}"): write it as mdb001 G CIRC B 535 425 197')
    circle = None
    if match["x"]:
        circle = int(match["x"]), int(match["y"]), int(match["radius"])
        if max(circle) > SIDE or circle[2] < 1:
            raise InputError(f'{place} has no circle on a film of {SIDE}×{SIDE} pixels ("{line}"): mend x, y, radius')
    return Row(match["film"], int(match["number"]), match["kind"], match["severity"], circle)


def _check_film(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path} is named by {INFO} but does not exist: add the film, or remove its row")
    if (size := read_size(path)) != (SIDE, SIDE):
        raise InputError(
            f"{path} is {size[0]}×{size[1]}, a mini-MIAS film {SIDE}×{SIDE}: "
            "restore it, or list it in its source's exclusions"
        )
