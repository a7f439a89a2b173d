"""Lists of patients: who is on an image, where a person knows more of that than the database says."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mammosynth.databases.lesion import Lesion, Problems, compose
from mammosynth.databases.patients import Patients
from mammosynth.databases.rows import Row
from mammosynth.errors import InputError


def join_listed(lesions: Sequence[Lesion], listed: Mapping[str, Row], patients: Patients) -> list[Lesion]:
    """Lesions with the patients that a list gives to their images; it joins patients of the database and splits none.

    listed: rows with a column *patient*, by image_id. A patient of the database goes whole where the list puts one of
    its images; all others stay as they are. patients: those of the database, each of which has been named. Raises
    InputError, one for all rows, if a row names nobody or a patient of the database in another spelling, if images of
    one patient of the database are listed as of several, or if the database has a patient of a listed name, of whom no
    image is listed under it: whether that is the same one is open.
    """
    problems = Problems()
    names: dict[str, str] = {}
    for image, row in listed.items():
        with problems.gathered():
            names[image] = patients.name(row["patient"], row)
    moved: dict[str, tuple[str, Row]] = {}  # by patient of the database: the listed one, and the row that says so
    own = {compose(lesion.image_id): lesion.patient_id for lesion in lesions if lesion.patient_id}
    for image, patient in names.items():
        with problems.gathered():
            if image in own and moved.setdefault(own[image], (patient, listed[image]))[0] != patient:
                first, row = moved[own[image]]
                raise InputError(
                    f'{listed[image]} gives {image} to patient "{patient}", and line {row.number} {row["image"]} to '
                    f'"{first}": both are of patient "{own[image]}" of the database, so give both to one'
                )
    for patient in sorted(set(names.values()) & set(own.values())):
        with problems.gathered():
            if moved.get(patient, ("",))[0] != patient:
                row = next(listed[image] for image in names if names[image] == patient)
                example = next(image for image in own if own[image] == patient)
                raise InputError(
                    f'{row} names patient "{patient}", and the database has one of that name: if they are the same, '
                    f"list {example} under it, too, else choose another name"
                )
    problems.refuse()
    told = {image: patient for image, patient in names.items() if image not in own}
    return [
        replace(lesion, patient_id=moved[lesion.patient_id][0])
        if lesion.patient_id in moved
        else replace(lesion, patient_id=told.get(compose(lesion.image_id), lesion.patient_id))
        for lesion in lesions
    ]


__all__ = ["join_listed"]
