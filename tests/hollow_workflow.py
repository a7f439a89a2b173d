"""The workflow with scripts that do nothing but write a digest of what they were given, for tests of what is rerun.

They do so within Snakemake, where a process for each would take most of the time.
An output is right if, and only if, all that it depends on is.
"""

import re
from pathlib import Path

import workflow_for_tests
from workflow_for_tests import copy_workflow

from mammosynth.databases.phantoms import make_phantoms

SCRIPT = """
import hashlib as _hashlib

_script = script  # what runs a script in a process of its own


def script(path, basedir, inputs, outputs, params, wildcards, *others):
    if Path(path).stem in REAL:
        return _script(path, basedir, inputs, outputs, params, wildcards, *others)
    given = [path, sorted(wildcards.items()), sorted(map(repr, params.items()))]
    for file in sorted(set(map(str, inputs))):
        given.append((file, _hashlib.sha256(Path(file).read_bytes()).hexdigest()))
    for file in outputs:
        Path(file).write_text(_hashlib.sha256(repr((given, str(file))).encode()).hexdigest())
    for record in (other for other in others if hasattr(other, "running_time")):
        record.running_time = 0  # which a benchmark needs
"""
DATA = {
    "make_phantoms",
    "read_lesions",
    "crop_rois",
    "partition",
    "set_external_apart",
    "count_parts",
    "get_parameters",
}
AFTER = {"train_gan", "synthesise", "train_classifier", "describe", "describe_real", "assess"}
OUTSIDE = {  # another database, that is only tested on
    "sources": {
        "outside": {"reader": "busi", "modality": "ultrasound", "phantoms": {"benign": 9, "malignant": 8, "seed": 7}}
    },
    "external": ["outside"],
}
GIVEN = ("exclusions.csv", "weights.pth", "generator.pt")  # files beside the raw data
STUDY = {
    "sources": {
        "phantom_ultrasound": {"phantoms": {"benign": 20, "malignant": 12}},
        "phantom_mammography": {"phantoms": {"benign": 20, "malignant": 12}},
    },
    "databases": ["phantom_ultrasound", "mine"],
    "partition": {"folds": 3},
    "generators": {
        "cyclegan": {"width": 4, "steps": 3, "evaluate_every": 0},
        "projected_gan": {"width": 4, "steps": 4, "batch": 4, "evaluate_every": 2},
    },
    "gans": ["cyclegan", "projected_gan"],
    "mixes": ["real", "real+cyclegan"],
    "classifiers": {"resnet18": {"steps": 3, "batch": 8, "evaluate_every": 2}},
    "statistics": {"resamples": 100},
}


def hollow(folder: Path, real: set[str]) -> Path:
    """The workflow in *folder* in which no scripts run but those of the rules *real*; returns its Snakefile."""
    copy_workflow(folder)
    with (folder / "Snakefile").open("a", encoding="utf-8") as rules:
        rules.write(f"\nREAL = {sorted(real)}\n{SCRIPT}")
    return folder / "Snakefile"


def snakemake(snakefile: Path, folder: Path, study: dict, *options: str) -> str:
    """What a call that succeeds says."""
    folder.mkdir(exist_ok=True)
    run = workflow_for_tests.snakemake(folder, *options, study=study, house=snakefile.parent)
    assert run.returncode == 0, run.stdout
    return run.stdout


def rules_run(output: str) -> set[str]:
    return set(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", output, re.MULTILINE))


def results(folder: Path) -> dict[str, bytes]:
    files = (folder / "results").rglob("*")
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}


def changed(study: dict, **changes) -> dict:
    """A study with some keys laid over, dictionaries deeply."""
    return study | {
        key: changed(study.get(key, {}), **value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }


def give(place: Path) -> None:
    """Raw data, and what a study names beside them."""
    make_phantoms("busi", {"benign": 20, "malignant": 12, "seed": 3}, place / "raw")
    (place / "exclusions.csv").write_text("image,reason\n")
    for name in GIVEN[1:]:
        (place / name).write_bytes(bytes(2**21))  # Snakemake compares the content of smaller files itself


def study_of(place: Path) -> dict:
    mine = {"reader": "busi", "modality": "ultrasound", "root": str(place / "raw")}
    mine["exclusions"] = str(place / "exclusions.csv")
    return changed(
        STUDY,
        sources={"mine": mine},
        classifiers={"resnet18": {"width": 64, "weights": str(place / "weights.pth")}},
        generators={"projected_gan": {"start_from": str(place / "generator.pt")}},
    )
