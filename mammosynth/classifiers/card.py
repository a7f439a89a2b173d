"""What a classifier's file needs beside it to be used by itself: its card, and what its training ROIs are like.

The **card** (``.md``) is a model card of the Hugging Face hub's form: YAML, then text. Under the key ``mammosynth`` it
says what `mammosynth predict` needs: how ROIs are cropped, from which probability a call is malignant, and what
probabilities mean, all by the validation part, as in the study's scores. The **limits** (``.npz``) are the distribution
of features of the training ROIs, beyond which nothing is predicted; see `mammosynth.arrays.typicality`. No image and no
single ROI's features are in them.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mammosynth import __version__
from mammosynth.arrays.calibration import recalibration
from mammosynth.arrays.statistics import SCORES, draw_patients, interval
from mammosynth.arrays.typicality import Typicality
from mammosynth.classifiers import METHODS
from mammosynth.classifiers.validation import AT_SENSITIVITY, THRESHOLDS, YOUDEN
from mammosynth.digests import sha256_of
from mammosynth.errors import InputError
from mammosynth.quality.reference import load_arrays

FORMAT = 1
NOT_FOR_CLINICAL_USE = (
    "Not for clinical use: a research model, for no decision on a patient. Its probability holds for lesions like "
    "those of its study alone."
)
# Scores of the test part, by their names in model-index, each with the threshold that it is taken at.
TESTED = {
    "AUROC": ("roc_auc", None),
    "malignant accuracy": ("sensitivity", YOUDEN),
    "benign accuracy": ("specificity", YOUDEN),
}
SIDES = 2.0  # times smaller than the smallest, or larger than the largest training ROI, is of another size


def describe(
    predictions: pd.DataFrame,
    training: pd.DataFrame,
    model: str | Path,
    rois: Mapping[str, Any],
    method: str,
    network: str,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """The metadata of a classifier's card.

    predictions: of the classifier, of its validation and test part; training: lines of ``rois.csv`` of its training
    part; model: its file; rois: the configuration's; method: of the classifier; network: that the limits are features
    of; resamples, seed: of the bootstrap of patients.

    Raises InputError if the predictions lack the validation part.
    """
    first, parts = predictions.iloc[0], dict(iter(predictions.groupby("part")))
    if "val" not in parts:
        raise InputError(f"the predictions of {model} lack its validation part: delete them and run again")
    labels, probability = _arrays(parts["val"])
    thresholds = {name: float(threshold(labels, probability)) for name, threshold in THRESHOLDS.items()}
    intercept, slope = recalibration(labels, probability)
    name = f"{first['classifier']} trained on {first['mix']}"
    databases = sorted(set(training["database"]))
    sides = training["scale"] * rois["size"]
    results = _tested(parts["test"], thresholds, resamples, seed) if "test" in parts else []
    return {
        "license": "other",
        "license_name": "terms-of-the-databases",
        "library_name": "mammosynth",
        "pipeline_tag": "image-classification",
        "tags": [str(first["modality"]), "breast", "medical-imaging", "research-only"],
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": "image-classification", "name": "benign or malignant breast mass"},
                        "dataset": {"type": databases[0], "name": f"{', '.join(databases)}, test part"},
                        "metrics": results,
                    }
                ],
            }
        ],
        "mammosynth": {
            "format": FORMAT,
            "version": __version__,
            "sha256": sha256_of(model),
            "modality": str(first["modality"]),
            "classifier": str(first["classifier"]),
            "method": method,
            "mix": str(first["mix"]),
            "databases": databases,
            "trained_on": {"rois": len(training), "patients": int(training["group"].nunique())},
            "rois": {key: rois[key] for key in ("size", "margin", "min_side")},
            # ROIs that came ready-made say nothing of sizes
            "sides": None if sides.nunique() < 2 else [float(sides.min() / SIDES), float(sides.max() * SIDES)],
            "thresholds": thresholds,
            "calibration": {
                "intercept": float(intercept),
                "slope": float(slope),
                "rois": len(labels),
                "malignant": int(labels.sum()),
            },
            "limits": {"network": network},
        },
    }


def _arrays(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return (rows["pathology"] == "malignant").to_numpy(int), rows["probability"].to_numpy(float)


def _tested(test: pd.DataFrame, thresholds: Mapping[str, float], resamples: int, seed: int) -> list[dict[str, Any]]:
    """Scores of the test part with 95 % intervals over its patients."""
    labels, probability = _arrays(test)
    weights = draw_patients(test["patient_id"].to_numpy(str), resamples, np.random.default_rng(seed))
    metrics = []
    for score, (kind, threshold) in TESTED.items():
        inputs = labels, probability, probability >= thresholds[threshold or YOUDEN]
        value, draws = (SCORES[score](*inputs, counts) for counts in (np.ones((1, len(test))), weights))
        low, high = interval(draws)
        shown = f"n = {len(test)} ROIs of {test['patient_id'].nunique()} patients"
        within = "" if np.isnan(low) else f"95 % interval {low:.3f} to {high:.3f}, "
        metrics.append({"type": kind, "name": f"{kind} ({within}{shown})", "value": round(float(value[0]), 4)})
    return metrics


def text_of(metadata: Mapping[str, Any]) -> str:
    """The card: the metadata as YAML, then what people read."""
    own, name = metadata["mammosynth"], metadata["model-index"][0]["name"]
    trained, calibration, rois = own["trained_on"], own["calibration"], own["rois"]
    metrics = metadata["model-index"][0]["results"][0]["metrics"]
    sides = " (their ROIs {:.0f} to {:.0f} px wide)".format(*own["sides"]) if own["sides"] else ""
    paragraphs = [
        f"# {name}",
        f"A classifier ({METHODS[own['method']].title}) of breast masses in {own['modality']}: benign or malignant.",
        f"**{NOT_FOR_CLINICAL_USE}**",
        "## Use",
        "    mammosynth predict MODEL.pt image.png --box x0,y0,x1,y1",
        "The .pt, .md and .npz of one name belong together. An image is cropped to the box with a margin of "
        f"{rois['margin']:g} on each side and resized to {rois['size']}×{rois['size']} px. Refused are DICOM files of "
        f"another modality, lesions of another size than those of its training{sides}, and images whose features "
        f"({own['limits']['network']}) lie farther from the training ROIs than those of 99 % of other patients' ROIs.",
        "## Training",
        f"The training part has {trained['rois']} ROIs of {trained['patients']} patients of "
        f"{', '.join(own['databases'])}; of these, and of images that GANs learned from them, it saw the mix "
        f"{own['mix']}. Probabilities were calibrated, and thresholds chosen, on {calibration['rois']} validation "
        f"ROIs, {calibration['malignant']} of them malignant.",
        "## Test part",
        "\n".join(f"- {metric['name']}: {metric['value']}" for metric in metrics) or "Not tested.",
        "Other patients, devices and countries may differ: test it on your own before you believe it. The terms of the "
        "databases that it was trained on hold for it, too.",
    ]
    head = yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True, width=110)
    return f"---\n{head}---\n\n" + "\n\n".join(paragraphs) + "\n"


def write(metadata: Mapping[str, Any], typicality: Typicality, model: str | Path) -> None:
    """Write the card and the limits beside the model."""
    card, limits = beside(model)
    card.write_text(text_of(metadata), encoding="utf-8")
    with limits.open("wb") as file:
        arrays = {key: np.asarray(value, np.float32) for key, value in asdict(typicality).items()}
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def beside(model: str | Path) -> tuple[Path, Path]:
    """Where the card and the limits of a model lie."""
    return Path(model).with_suffix(".md"), Path(model).with_suffix(".npz")


def read(model: str | Path) -> tuple[dict[str, Any], Typicality]:
    """What a model's card says under ``mammosynth``, and the limits.

    Raises InputError if either is not there, or is another model's.
    """
    card, limits = beside(model)
    for file in (card, limits):
        if not file.is_file():
            raise InputError(
                f"{model} has no {file.name} beside it, which says what its probabilities mean: name a classifier of a "
                "study (classifiers/…/seed0.pt), copy its .md and .npz along, or have the study write them: run it "
                "again, as it was run"
            )
    try:
        own = yaml.safe_load(card.read_text(encoding="utf-8").split("---")[1])["mammosynth"]
    except (IndexError, KeyError, TypeError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{card} is no model card of mammosynth: have the study write it again") from error
    if own.get("format") != FORMAT or own["sha256"] != sha256_of(model):
        raise InputError(f"{card} is of another classifier than {model}: copy .pt, .md and .npz of one name together")
    arrays = load_arrays(limits)
    mean, components, variances = (arrays[name] for name in ("mean", "components", "variances"))
    return own, Typicality(mean, components, variances, float(arrays["noise"]), float(arrays["limit"]))


__all__ = ["AT_SENSITIVITY", "NOT_FOR_CLINICAL_USE", "YOUDEN", "beside", "describe", "read", "text_of", "write"]
