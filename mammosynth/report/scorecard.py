"""A page on each generator: what its images are for, how they were made, what they are worth, what is not known.

`Facts` -> `describe` -> one dictionary: the JSON file, and all that the HTML page is drawn from beside pictures.
``scorecard.schema.json`` says what each of its fields means.
"""

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import jsonschema
import numpy as np
import pandas as pd
from PIL import Image

from mammosynth import __version__, study
from mammosynth.arrays.grid import evenly_spaced, tile
from mammosynth.errors import InputError
from mammosynth.findings import conclusions
from mammosynth.findings.names import name_of
from mammosynth.findings.tables import number, quality_cell, summarise_quality
from mammosynth.gans import ELSEWHERE
from mammosynth.gans.settings import Settings, presets
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.networks import NETWORKS
from mammosynth.quality.measures import BASELINES, find, measure_of
from mammosynth.report.page import data_uri, environment, explained

FORMAT = 1  # of the JSON file; one more with each change that its readers must know of
SCHEMA = Path(__file__).with_name("scorecard.schema.json")
COLUMNS, ROWS = 6, 2  # of the samples of a class
PATHOLOGIES = ("all", *CLASSES)

FOR = (
    "Research on augmenting or balancing the training data of classifiers of breast masses in {modality} ROIs, judged "
    "on real images of other patients",
    "Comparing generators, and the measures that judge them",
    "Trying out software with images of this kind, where only that it runs is looked at",
)
NOT_FOR = (
    "Diagnosis, or any other decision on a patient",
    "Teaching or examining people with them as if they were real cases",
    "Standing in for patient data that may not be released: a generator can give images of its training set away",
    "Testing a classifier, or estimating how it would do in the clinic: that takes real images",
    "Saying how often a finding occurs or how diverse it is: they know no more than the training ROIs",
    "Other modalities, devices, populations or findings than those of the training ROIs",
)


@dataclass(frozen=True)
class Facts:
    """What a scorecard is written from.

    generator, modality: names in *config*, the study's resolved configuration; preset: that its settings began with, if
    any; judge: the feature network that steps were chosen by, a name of ``NETWORKS``; settings: as its files hold
    them; runs: what :func:`describe_run` returns, a training each; quality: tidy rows of the study; verdict: on
    novelty, ``{"memorising": bool, "sentence": str}``, or None if it was not judged; leaks: likewise, ``{"found": bool,
    "sentence": str}``, of images made elsewhere, whose runs are what :func:`describe_draw` returns.
    """

    generator: str
    modality: str
    config: Mapping[str, Any]
    preset: str | None
    judge: str
    settings: Mapping[str, Any]
    runs: list[dict[str, Any]]
    quality: pd.DataFrame
    verdict: Mapping[str, Any] | None = None
    leaks: Mapping[str, Any] | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether its images were made elsewhere."""
        return self.settings["method"] in ELSEWHERE


def describe_run(
    fold: int, content: Mapping[str, Any], history: pd.DataFrame, partition: pd.DataFrame, file: str, sha256: str
) -> dict[str, Any]:
    """One training: what it learned from and what was kept.

    content: of the generator's file, see `mammosynth.gans.transfer.read_generator`; history, partition: its table and
    that of its fold; file, sha256: the file's name and digest.

    Raises InputError if the generator was not trained on all of the fold's training part.
    """
    training = partition[partition["part"] == "train"]
    ids = set(training["lesion_id"])
    if unseen := sorted(ids - set(content["ids"])):
        raise InputError(
            f"{file} was not trained on {len(unseen)} ROIs of its fold's training part ({unseen[0]} is one), and a "
            "scorecard would say that it was: delete it and run again"
        )
    of_class = {name: training[training["pathology"] == name] for name in CLASSES}
    last = history.iloc[-1]
    return {
        "fold": int(fold),
        "seed": int(content["seed"]),
        "rois": {name: len(rows) for name, rows in of_class.items()},
        "patients": {name: rows["patient_id"].nunique() for name, rows in of_class.items()}
        | {"all": training["patient_id"].nunique()},
        "databases": {str(name): int(n) for name, n in training["database"].value_counts().items()},
        "other_rois": len(set(content["ids"]) - ids),
        "steps": int(last["step"]),
        "seconds": float(last["seconds"]),
        "kept": [
            {"network": name, "step": int(step), "kd": _kd(history, name, step)}
            for name, step in content["steps"].items()
        ],
        "version": content["version"],
        "fingerprint": content["fingerprint"],
        "file": file,
        "sha256": sha256,
    }


def describe_draw(fold: int, seed: int, drawn: ImageSet, collected: ImageSet, file: str, sha256: str) -> dict[str, Any]:
    """One draw of images made elsewhere: how many of how many; file, sha256: of the images drawn."""
    counts = ({name: len(images.of_class(name)) for name in CLASSES} for images in (drawn, collected))
    return {"fold": fold, "seed": seed, **dict(zip(("images", "of"), counts)), "file": file, "sha256": sha256}


def _kd(history: pd.DataFrame, network: str, step: int) -> float | None:
    """KD of a network at a step; None if the validation part was not looked at then."""
    if "kd" not in history:
        return None
    return _plain(history.loc[(history["class"] == network) & (history["step"] == step), "kd"].iloc[0])


def describe(facts: Facts) -> dict[str, Any]:
    """The scorecard: the content of its JSON file, checked against the schema."""
    config, modality = _narrowed(facts), facts.modality
    network = study.trained_against(config).get(facts.generator)
    of_modality = facts.quality[facts.quality["modality"] == facts.modality]
    measures = list_measures(of_modality, facts.generator, network)
    card = {
        "format": FORMAT,
        "version": __version__,
        "generator": facts.generator,
        "title": name_of(facts.generator),
        "modality": modality,
        "phantoms": conclusions.phantoms_of(config),
        "intended_use": {"for": [text.format(modality=modality) for text in FOR], "not_for": [*NOT_FOR]},
        "making": {
            "method": facts.settings["method"],
            "pixels": config["rois"]["size"],
            "runs": facts.runs,
            **({} if facts.elsewhere else _training(facts, config, network)),
        },
        "measures": measures,
        "novelty": (dict(facts.verdict) if facts.verdict else {"memorising": None, "sentence": "Not judged."})
        | {"leaks": dict(facts.leaks) if facts.leaks else None},
        "limits": _limits(facts, measures),
        "not_measured": _not_measured(facts, measures),
    }
    check(card)
    return card


def _training(facts: Facts, config: Mapping[str, Any], network: str | None) -> dict[str, Any]:
    """How it was trained, and what is the same for all of its trainings."""
    return {
        "preset": facts.preset,
        "changed": _changed(facts),
        "settings": {key: list(v) if isinstance(v, tuple) else v for key, v in facts.settings.items()},
        "part": "training",
        "databases": config["databases"],
        "folds": config["partition"]["folds"],
        "trained_against": NETWORKS[network].title if network else None,
        "kept_by": f"KD ({NETWORKS[facts.judge].title}) from the validation part"
        if facts.settings["evaluate_every"]
        else None,
    }


def _narrowed(facts: Facts) -> dict[str, Any]:
    """The configuration as if this generator and modality were all of the study."""
    databases = study.databases_of(facts.config, facts.modality)
    return {**facts.config, "gans": [facts.generator], "databases": databases}


def _changed(facts: Facts) -> dict[str, Any]:
    """The settings that are not the preset's."""
    if not facts.preset:
        return {}
    method = facts.settings["method"]
    begun_with = Settings.of({"method": method, **presets()[facts.preset][method]}).flat()
    return {
        key: list(v) if isinstance(v, tuple) else v for key, v in facts.settings.items() if v != begun_with.get(key)
    }


def _plain(value: Any) -> float | None:
    """A number for JSON, which knows no NaN."""
    return None if pd.isna(value) else float(value)


def _numbers(row: pd.Series) -> dict[str, Any]:
    found = {key: _plain(row[key]) for key in ("value", "low", "high", "sd")}
    return found | {key: int(row[key]) for key in ("runs", "n", "n_reference", "failures")}


def list_measures(quality: pd.DataFrame, generator: str, seen: str | None = None) -> list[dict[str, Any]]:
    """Every measure of a generator with what real images reach, as the schema says.

    quality: tidy rows of one modality; seen: the network that it was trained against.
    """
    summary = summarise_quality(quality)
    beside = {name: summary[summary["generator"] == name].set_index(["pathology", "measure"]) for name in BASELINES}
    measures = []
    for _, row in summary[summary["generator"] == generator].iterrows():
        name = row["measure"]
        known, network = find(name)
        key = (row["pathology"], name)
        measures.append(
            {
                "measure": name,
                "pathology": row["pathology"],
                "aspect": known.aspect,
                "better": known.better if known.arrow else None,
                "explanation": known.explanation,
                "trained_against": seen is not None and network == seen,
                **_numbers(row),
                **{base: _numbers(rows.loc[key]) if key in rows.index else None for base, rows in beside.items()},
            }
        )
    return sorted(measures, key=lambda measure: PATHOLOGIES.index(measure["pathology"]))


def _limits(facts: Facts, measures: list[dict[str, Any]]) -> list[str]:
    """What the numbers and images cannot show, as far as it is known."""
    config, runs = _narrowed(facts), facts.runs
    sentences = conclusions.on_phantoms(config)
    sentences += conclusions.on_elsewhere(config, {}) if facts.elsewhere else _limits_of_training(facts)
    if len(runs) > 1:
        sentences.append(
            f"Numbers are means over {len(runs)} runs (± standard deviation); the images shown are of fold "
            f"{runs[0]['fold']}, seed {runs[0]['seed']}."
        )
    if any(m["floor"] for m in measures) and not facts.elsewhere:
        sentences.append(
            "Its images are compared with the very ROIs that it was trained on, so that copying improves distances."
        )
    sentences += conclusions.on_features(config)
    sentences += conclusions.on_translations(facts.quality[facts.quality["modality"] == facts.modality], config)
    failed = [f"{m['measure']} on {m['failures']}" for m in measures if m["failures"] and m["pathology"] == "all"]
    if failed:
        sentences.append(
            f"Measures could not be taken of some images, which their means leave out: {', '.join(failed)}."
        )
    return sentences


def _limits_of_training(facts: Facts) -> list[str]:
    """What a generator that learned from so little cannot know."""
    runs, first = facts.runs, facts.runs[0]
    learned = f"It learned from {sum(first['rois'].values())} ROIs of {first['patients']['all']} patients"
    learned += f" ({', '.join(f'{n} {name}' for name, n in first['rois'].items())})"
    learned += f" in fold {first['fold']}" if len(runs) > 1 else ""
    sentences = [f"{learned}; of other patients it knows nothing."]
    if first["other_rois"]:
        sentences.append(f"It began at the networks of a training that saw {first['other_rois']} ROIs beside these.")
    if len(runs) == 1:
        sentences.append("It was trained once: the intervals do not cover the chance of training.")
    return sentences


def _not_measured(facts: Facts, measures: list[dict[str, Any]]) -> list[str]:
    missing = []
    if not facts.verdict:
        missing.append("Whether images are copies of training ROIs: novelty was not judged")
    if not any(m["aspect"] == "label fidelity" for m in measures):
        missing.append("Whether benign and malignant images look so")
    if not facts.elsewhere and not facts.settings["evaluate_every"]:
        missing.append("Which step of the training is best: the last was kept")
    return [
        *missing,
        "What radiologists see in the images",
        "What a classifier gains from them: the study's report says it",
        "Anything but ROIs of single masses: no whole images, no other findings, no course over time",
    ]


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def check(card: Mapping[str, Any]) -> None:
    """Raise InputError naming the field, if a scorecard is not as its schema says."""
    error = jsonschema.exceptions.best_match(_validator().iter_errors(card))
    if error:
        raise InputError(
            f"the scorecard's {error.json_path.removeprefix('$.')} is not as {SCHEMA.name} says: {error.message}; "
            "mend what it was written from"
        )


def check_measures(measures: list[dict[str, Any]]) -> None:
    """Raise InputError if measures are not as the schema of a scorecard says."""
    for error in _validator().iter_errors({"measures": measures}):
        if error.absolute_path:
            raise InputError(f"{error.json_path.removeprefix('$.')} is not as {SCHEMA.name} says: {error.message}")


def sample(real: ImageSet, synthetic: ImageSet) -> dict[str, dict[str, np.ndarray]]:
    """By class, real and synthetic images side by side, uint8 [H, W]: evenly spaced ones, not chosen by eye."""
    return {
        pathology: {
            kind: tile(of_class.images[evenly_spaced(len(of_class), COLUMNS * ROWS)], COLUMNS)
            for kind, of_class in (("real", real.of_class(pathology)), ("synthetic", synthetic.of_class(pathology)))
        }
        for pathology in real.classes
    }


def png_uri(image: np.ndarray) -> str:
    """A grey image, uint8 [H, W], as a PNG in a URI."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def render(
    card: Mapping[str, Any],
    samples: Mapping[str, Mapping[str, np.ndarray]],
    neighbours: str | Path | None = None,
    caption: str = "",
) -> str:
    """The page as HTML; samples: what :func:`sample` returns; neighbours, caption: a figure of the nearest training
    ROIs, and what it shows."""
    jinja = card_environment()
    jinja.filters |= {"setting": _setting, "duration": _duration}
    return jinja.get_template("scorecard.html.jinja").render(
        card=card,
        phantoms=card["phantoms"],
        samples=samples,
        neighbours=data_uri(neighbours) if neighbours else None,
        caption=caption,
        measures=explained(dict.fromkeys(m["measure"] for m in card["measures"])),
    )


def card_environment() -> jinja2.Environment:
    """What templates with the tables of a scorecard are rendered with."""
    jinja = environment()
    jinja.filters |= {"cell": _cell, "number": number, "name_of": name_of, "arrow": lambda name: measure_of(name).arrow}
    jinja.filters |= {"baselines": _baselines, "png_uri": png_uri}
    return jinja


def _cell(numbers: Mapping[str, Any] | None) -> str:
    """A value with its interval or spread; a dash where there is none."""
    return number(np.nan) if numbers is None else quality_cell(numbers)


def _baselines(measures: list[dict[str, Any]]) -> list[str]:
    """What real images reach, as far as any of the measures has it."""
    return [name for name in BASELINES if any(measure[name] for measure in measures)]


def _setting(value: Any) -> str:
    """A setting as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return (" ".join(value) if isinstance(value, list) else str(value)) or "none"


def _duration(seconds: float) -> str:
    """``40 s``, ``12 min`` or ``3.4 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def write(
    card: Mapping[str, Any],
    samples: Mapping[str, Mapping[str, np.ndarray]],
    neighbours: str | Path | None,
    caption: str,
    *,
    html: str | Path,
    data: str | Path,
) -> None:
    """Write the page *html* and the JSON file *data*.  Raises InputError if the card is not as its schema says."""
    check(card)
    Path(data).write_text(json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    Path(html).write_text(render(card, samples, neighbours, caption), encoding="utf-8")
