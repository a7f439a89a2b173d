"""One image and a classifier of a study: a probability and a call, or a refusal."""

from dataclasses import dataclass
from pathlib import Path

from mammosynth import parameters
from mammosynth.arrays.calibration import recalibrated
from mammosynth.classifiers import METHODS
from mammosynth.classifiers.card import NOT_FOR_CLINICAL_USE, read
from mammosynth.databases.pixels import DICOM_SUFFIXES, Box, read_header, read_size
from mammosynth.errors import InputError
from mammosynth.gpu import device
from mammosynth.networks import NETWORKS
from mammosynth.rois import crop_image

MODALITIES = {"MG": "mammography", "US": "ultrasound"}  # DICOM's terms


@dataclass(frozen=True)
class Prediction:
    """probability: of malignancy, at the validation part's prevalence; calls: by threshold; notes: what to know."""

    probability: float
    calls: dict[str, str]
    notes: list[str]


def predict(model: Path, image: Path, box: Box | None = None) -> Prediction:
    """Classify the lesion in *box* of an image; without a box, the image is an ROI.

    Raises InputError if the image cannot be read or is unlike the training ROIs: of another modality, of another size,
    or farther from them in features than 99 % of other patients' ROIs.
    """
    from mammosynth.classifiers.training import read as read_classifier
    from mammosynth.networks.features import features

    card, typicality = read(model)
    told = _refuse_other_modality(image, card["modality"])
    width, height = read_size(image)
    x0, y0, x1, y1 = place = box or (0, 0, width, height)
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise InputError(f"the box {x0},{y0},{x1},{y1} is empty or not inside {image}, of {width}×{height} px: mend it")
    rois = card["rois"]
    ((roi, measured),) = crop_image(image, card["modality"], [place], rois["size"], rois["margin"])
    side = measured[0] * rois["size"]
    low, high = card["sides"] or (0.0, float("inf"))
    if not max(low, rois["min_side"]) <= side <= high:
        what = "the ROI around the box" if box else "the whole image"
        mend = "it is not for lesions of this size" if box else "give the lesion by --box"
        trained = f"{low:.0f} to {high:.0f} px" if card["sides"] else f"{rois['min_side']} px at least"
        raise InputError(
            f"{image}: {what} is {side:.0f} px wide, and {model.name} was trained on ROIs that make {trained} likely: "
            + mend
        )
    network = card["limits"]["network"]
    found = features(roi[None], network, parameters.cached(network, NETWORKS[network].weights), device())
    distance = float(typicality.distance(found)[0])
    if not distance <= typicality.limit:
        raise InputError(
            f"{image}: its ROI is unlike the {card['modality']} ROIs that {model.name} was trained on (distance of "
            f"features {distance:.2f}, 99 % of other patients' ROIs are within {typicality.limit:.2f}): nothing is "
            "predicted for it"
        )
    starts_from = METHODS[card["method"]].starts_from
    files = {starts_from: parameters.cached(starts_from, NETWORKS[starts_from].weights)} if starts_from else {}
    probability = float(read_classifier(model, device(), files).probabilities(roi[None])[0])
    calibration, thresholds = card["calibration"], card["thresholds"]
    calls = {name: "malignant" if probability >= value else "benign" for name, value in thresholds.items()}
    notes = [
        f"The probability is calibrated on {calibration['rois']} validation ROIs, {calibration['malignant']} of them "
        "malignant: it holds where as many are. Thresholds are those of the study, chosen there, too: the sum of "
        "sensitivity and specificity is largest (Youden), or 95 % of the malignant are found.",
        f"Likeness to the training ROIs: distance of features {distance:.2f}, of {typicality.limit:.2f} allowed.",
        *([] if told else [f"The file does not say its modality: it was taken for {card['modality']}."]),
        NOT_FOR_CLINICAL_USE,
    ]
    return Prediction(float(recalibrated(probability, calibration["intercept"], calibration["slope"])), calls, notes)


def _refuse_other_modality(image: Path, modality: str) -> bool:
    """Whether a file says that it is of a modality.  Raises InputError if it says another."""
    told = ""
    if image.suffix.lower() in DICOM_SUFFIXES:
        (told,) = read_header(image, ["Modality"])
        if MODALITIES.get(told, modality) != modality or told not in ("", *MODALITIES):
            raise InputError(f"{image} is of the DICOM modality {told}, and the classifier knows {modality} alone")
    return told != ""
