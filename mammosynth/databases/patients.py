"""Who the patients are: their ids and ages, in the spellings that tables, spreadsheets and file names have.

A patient who is spelled in two ways would count as two, and may then lie in two parts: a leak. What is certainly one
spelling is made one: composed and decomposed letters, invisible characters, spaces doubled or at the ends, and whole
numbers with a point or a comma (17.0, 17,0, as tables with gaps are saved). What may be one patient or two is refused,
with both places: ids that differ only in capitals, in zeros in front of numbers (007 and 7), in marks and spaces
between words and numbers (P-7, P_7 and P7), or in compatible characters (full-width digits). So is what names nobody
(NA, None, ?), for all such images would be one patient, and a number that a spreadsheet has rounded (1.2E+11), which
may be many.
"""

import re
import unicodedata
from itertools import groupby

from mammosynth.errors import InputError

# as `_likeness` has them: "#N/A" and "n.a." are n-a
NOBODY = {
    "", "na", "n-a", "nan", "nat", "none", "null", "nil", "unknown", "unk", "missing", "undefined", "not-available",
    "not-known", "not-applicable", "no-data", "anon", "anonymous", "anonymised", "anonymized", "removed", "1-ind",
    "1-qnan", "div-0", "value", "ref", "name", "num", "tbd", "tba", "todo", "xxx", "none-given", "not-given",
    "not-recorded", "no-id", "true", "false",
}  # fmt: skip
OLDEST = 120
YEARS = {"y": 1.0, "m": 1 / 12, "w": 7 / 365.25, "d": 1 / 365.25}  # DICOM's age string (PS3.5, section 6.2: AS)

_WHOLE = re.compile(r"(\d+)(?:\.0*|,0+)", re.ASCII)
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?[eE]\+\d+", re.ASCII)
_AGE = re.compile(r"(?P<number>\d{1,3}(?:[.,]\d+)?)\s*(?P<unit>[ymwd]?)", re.ASCII | re.IGNORECASE)


class Patients:
    """The patients of one database, each in one spelling; *spellings* has, in order, those that were read as it."""

    def __init__(self) -> None:
        self.spellings: dict[str, list[str]] = {}
        self._first: dict[str, tuple[str, object]] = {}

    def name(self, text: str, place: object) -> str:
        """The id of the patient whom *text* names; *place* (a row, a file) is where it stands.

        Raises InputError if it names nobody, is a rounded number, or may be a patient of another place in another
        spelling; each spelling is refused where it stands first.
        """
        patient = read_patient(text, place)
        known, where = self._first.setdefault(_likeness(patient), (patient, place))
        new = patient not in self.spellings
        spellings = self.spellings.setdefault(patient, [])
        if text not in spellings:
            spellings.append(text)
        if new and patient != known:
            raise InputError(
                f'{place}: patient "{patient}" differs from "{known}" of {where} only in capitals, zeros or marks: '
                "write one patient in one way, or give two patients names that differ in more"
            )
        return patient


def read_patient(text: str, place: object) -> str:
    """The id of a patient as `spell` has it.

    Raises InputError, which names *place*, if it names nobody or is a number that a spreadsheet has rounded.
    """
    patient = spell(text)
    if _likeness(patient) in NOBODY:
        raise InputError(
            f'{place}: patient is "{text}", which names nobody: fill it in; where each image is of another patient, '
            "write the image's name there"
        )
    if _ROUNDED.fullmatch(patient):
        raise InputError(
            f'{place}: patient is "{text}", a number that a spreadsheet has rounded: restore the id, and save that '
            "column as text"
        )
    return patient


def spell(text: str) -> str:
    """An id without what does not tell patients apart: composed, nothing invisible, single spaces, 17.0 as 17."""
    visible = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf"))
    patient = " ".join(unicodedata.normalize("NFC", visible).split())
    whole = _WHOLE.fullmatch(patient)
    return whole[1] if whole else patient


def read_age(text: str) -> float | None:
    """Years of a patient's age: ``45``, ``45.5``, ``45,5``, or as in DICOM ``045Y``, ``018M``, ``006W``, ``021D``.

    None where it is none of these, or not above 0 and up to OLDEST, as codes for a missing age are.
    """
    age = _AGE.fullmatch(text.strip())
    if age is None:
        return None
    years = float(age["number"].replace(",", ".")) * YEARS[age["unit"].lower() or "y"]
    return years if 0 < years <= OLDEST else None


def says_nothing(text: str) -> bool:
    """Whether a cell is empty or holds a word for a missing value."""
    return _likeness(text) in NOBODY


def _likeness(text: str) -> str:
    """The words and numbers of a text: what two spellings of one patient share."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    words = [(kind, "".join(run)) for kind, run in groupby(plain, _kind)]
    return "-".join(_number(word) if kind == "number" else word for kind, word in words if kind)


def _kind(character: str) -> str:
    category = unicodedata.category(character)
    return "number" if category == "Nd" else "word" if category[0] in "LM" else ""


def _number(digits: str) -> str:
    return "".join(str(unicodedata.decimal(digit)) for digit in digits).lstrip("0") or "0"
