"""Ready-made ROIs in folders, such as CBIS-DDSM masses already cut out.

Layout: the config's *benign* and *malignant* are globs below the root, of folders (``*/is_benign_true``), of which each
image is one lesion, or of images (``b_*.png``). The box of a lesion is its whole image, so that it is neither given a
context margin nor cut a second time.
Label rule: the glob.
Patients: *patient*, a regular expression, is searched in each file's name; its first group, or all that it matches, is
the patient. Without it near-duplicate groups stand in.
"""

import re
from pathlib import Path

from mammosynth.databases.database import Database, Setting
from mammosynth.databases.files import is_leftover, list_files
from mammosynth.databases.lesion import Lesion, Problems, Reading, Source, refuse_other_images
from mammosynth.databases.pixels import read_size
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES

SUFFIXES = (".png", ".pgm", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def _refuse_no_expression(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise InputError(f'"{pattern}" is no regular expression ({error}): mend it') from error


DATABASE = Database(
    # On 1,296 mass ROIs of CBIS-DDSM (839,160 pairs) the nearest pair differs in 62 of 256 bits: at 32 nothing is
    # joined falsely, and an image that lies in a collection twice is found.
    near_duplicates=32,
    settings={
        "benign": Setting("Benign ROIs, as a glob below root, of folders or files.", {"type": "string"}, required=True),
        "malignant": Setting(
            "Malignant ROIs, as a glob below root, of folders or files.", {"type": "string"}, required=True
        ),
        "patient": Setting(
            "A regular expression whose first group is the patient in a file's name.",
            {"type": "string"},
            check=_refuse_no_expression,
        ),
    },
)


def read(source: Source) -> Reading:
    """One lesion a file.

    Raises InputError, one for all files at fault, if a glob finds no image or one of another format, both classes
    claim a file, a header is unreadable, two files share an id, or a name gives no patient.
    """
    pattern = re.compile(source.settings["patient"]) if "patient" in source.settings else None
    files = {label: _find(source, label) for label in CLASSES}
    if both := sorted(set(files["benign"]) & set(files["malignant"])):
        raise InputError(
            f"{both[0]}"
            + (f" and {len(both) - 1} more are" if len(both) > 1 else " is")
            + f" both benign and malignant: mend the globs benign and malignant of {source.name}"
        )
    paths = [path for label in CLASSES for path in files[label]]
    keys = {path.relative_to(source.root).as_posix() for path in paths}
    source.check_lists(keys)
    problems = Problems()
    lesions: dict[str, Lesion] = {}
    for path in paths:
        key = path.relative_to(source.root)
        excluded = source.excluded(key.as_posix())
        with problems.gathered():
            lesion_id = f"{source.name}/{key.with_suffix('').as_posix()}"
            if lesion_id in lesions:
                raise InputError(f"{path} and {lesions[lesion_id].image} share one name: rename or remove one of them")
            width, height = (None, None) if excluded else read_size(path)
            lesions[lesion_id] = Lesion(
                lesion_id=lesion_id,
                patient_id=_patient(path, pattern, source),
                database=source.name,
                modality=source.modality,
                image=str(path),
                image_id=key.as_posix(),
                mask="",
                x0=None if excluded else 0,
                y0=None if excluded else 0,
                x1=width,
                y1=height,
                pathology="benign" if path in files["benign"] else "malignant",
                excluded=excluded,
            )
    problems.refuse()
    return Reading(list(lesions.values()))


def _find(source: Source, label: str) -> dict[Path, None]:
    """The images of a class in order; a dictionary, for it is asked for membership."""
    pattern = source.settings[label]
    places = [p for p in sorted(source.root.glob(pattern)) if not any(map(is_leftover, _parts(p, source.root)))]
    paths = [path for place in places for path in (list_files(place) if place.is_dir() else [place])]
    refuse_other_images(paths, SUFFIXES)
    found = {path: None for path in paths if path.suffix.lower() in SUFFIXES}
    if not found:
        raise InputError(
            f'{source.root} holds no {label} image in a folder like "{pattern}", nor one so named: mend root or '
            f"{label} of {source.name}"
        )
    return found


def _parts(folder: Path, root: Path) -> list[Path]:
    """A folder and those above it, up to the root."""
    return [folder, *folder.parents][: len(folder.parts) - len(root.parts)]


def _patient(path: Path, pattern: re.Pattern | None, source: Source) -> str:
    if pattern is None:
        return ""
    match = pattern.search(path.name)
    if match is None:
        raise InputError(
            f'{path} does not match "{pattern.pattern}", patient of {source.name}: mend the pattern or the name'
        )
    return match[1] if pattern.groups else match[0]
