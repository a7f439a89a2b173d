"""Training a classifier of any kind, and reading it again."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mammosynth import __version__
from mammosynth.checkpoint import Checkpoint, fingerprint, write
from mammosynth.classifiers import METHODS
from mammosynth.classifiers.classifier import Classifier, Task
from mammosynth.classifiers.mixes import Mix
from mammosynth.digests import sha256_of
from mammosynth.errors import InputError
from mammosynth.files import replacing
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.networks import NETWORKS
from mammosynth.paths import IMAGENET
from mammosynth.weights import read_weights


def train(
    mix: Mix,
    training: Sequence[ImageSet],
    validation: ImageSet,
    settings: Mapping[str, Any],
    seed: int,
    device: torch.device,
    *,
    model: Path,
    history: Path,
    checkpoint: Path,
    checkpoint_seconds: float = 300.0,
    parameters: Mapping[str, str | Path] | None = None,
    drawn_from: Sequence[ImageSet] = (),
    kept: str | Path | None = None,
) -> None:
    """Train a classifier and write *model* and *history*.

    training: the images of each phase of *mix*. settings: what `mammosynth.classifiers.settings.resolve` returns.
    model: what `read` takes. history: CSV; what `Classifier.fit` returns. parameters: files of feature networks by
    name, among them the one that the classifier starts from, and of ImageNet weights by the method's; drawn_from: the
    sets that training images were drawn from; kept: the folder of kept features; the two save time and decide
    nothing. A training that was cut off goes on from *checkpoint*; one that was finished before gives its results
    back.

    Raises InputError if the training images or the validation part lack a class, if a phase has no step, and if the
    disk is full; CutOff if the process was told to end.
    """
    _refuse_missing_classes(mix, training, validation)
    method, parameters = METHODS[settings["method"]], parameters or {}
    told = dict(settings)
    if weights := settings.get("weights"):  # which they are, and not where they lie
        told["weights"] = sha256_of(parameters[settings["method"]] if weights == IMAGENET else weights)
    decisive, modules = told | {"mix": mix.name}, [__name__, method.module]
    if method.starts_from:
        decisive["starts_from"] = sha256_of(parameters[method.starts_from])
        modules.append(NETWORKS[method.starts_from].module)
    key = fingerprint(modules, decisive, seed, *training, validation)
    keeper, outputs = Checkpoint(checkpoint, key), (model, history)
    if keeper.give_back(outputs):
        return

    torch.manual_seed(seed)
    classifier: Classifier = method.load()(settings, device, parameters, kept)
    rows = classifier.fit(Task(mix, training, validation, seed, keeper, checkpoint_seconds, drawn_from))
    content = {
        "settings": told,
        "state": classifier.state(),
        "mix": mix.name,
        "seed": seed,
        "images": sum(map(len, training)),
        "fingerprint": key,
        "version": __version__,
    }
    write(content, model)
    with replacing(history) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    keeper.finish(outputs)


def _refuse_missing_classes(mix: Mix, training: Sequence[ImageSet], validation: ImageSet) -> None:
    of_phases = [
        (f"phase {phase.name} of " if training[1:] else "", images) for phase, images in zip(mix.phases, training)
    ]
    parts = [(f"the images of {which}mix {mix.name}", images) for which, images in of_phases]
    for name, images in (*parts, ("the validation part", validation)):
        for label, pathology in enumerate(CLASSES):
            if not (images.labels == label).any():
                raise InputError(f"{name} hold no {pathology} ROI: a classifier needs both classes; add images")


def read(
    file: str | Path,
    device: torch.device,
    parameters: Mapping[str, str | Path] | None = None,
    kept: str | Path | None = None,
) -> Classifier:
    """The classifier of a file that a training left.

    parameters: files of feature networks by name, for one that keeps its network's weights there and not in its own;
    kept: the folder of kept features, if they are.

    Raises InputError if the file is damaged, or of something else.
    """
    saved = read_weights(file, "a classifier of mammosynth", "delete it and run again")
    if not isinstance(saved, dict) or not {"settings", "state", "mix", "seed"} <= saved.keys():
        raise InputError(f"{file} is not a classifier of mammosynth: delete it and run again")
    make = METHODS[saved["settings"]["method"]].load()
    classifier: Classifier = make(saved["settings"], device, parameters or {}, kept)
    classifier.load_state(saved["state"])
    return classifier
