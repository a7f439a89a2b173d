"""Classifiers: what they are trained on (mixes), how, what they predict, and how certain their scores are.

One small file each.  Adding one is its file with one class, a `mammosynth.classifiers.classifier.Classifier`, and one
entry of ``METHODS``.  Imports no torch.

There are three kinds:

- a network trained from its first weight: a `mammosynth.classifiers.network.NetworkClassifier` with ``make_network``.
  Batches, phases, augmentation, the learning rate's schedule, evaluations, the step that is kept, checkpoints and files
  are the same for all networks, and not its concern (``resnet18``);
- a network that was trained before: also with ``start``, which loads its weights, ``rates``, where parts of it learn at
  rates of their own, and ``normalise``, where its input is normalised its own way;
- one without such a loop: a ``Classifier`` itself, with ``fit``, ``probabilities``, ``state`` and ``load_state``. It
  takes no ``steps``; mixes of several phases are refused for it, unless its entry says that it knows ``phases``.

One that starts from a feature network says so in its entry (``starts_from``), and has that network's parameter file in
``parameters``, under the network's name. The file of a trained classifier is read by
`mammosynth.classifiers.training.read`, whatever its kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mammosynth import declared

WIDTH = 64  # channels of the first layer of ResNets as they were published

# Settings that several classifiers have, each for those that take it: JSON schemas with a description and a default.
SHARED: Mapping[str, Mapping[str, Any]] = {
    "steps": {"description": "Updates, the same for every mix", "type": "integer", "minimum": 1, "default": 2000},
    "batch": {
        "description": "Images of an update, equally many of both classes",
        "type": "integer",
        "minimum": 2,
        "default": 32,
    },
    "learning_rate": {
        "description": "Of AdamW, at the first step; it falls to 0 along a cosine",
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1,
        "default": 0.0005,
    },
    "weight_decay": {"description": "Of AdamW", "type": "number", "minimum": 0, "default": 0.01},
    "evaluate_every": {
        "description": (
            "Updates between evaluations on the validation part; the best by AUROC, of the last phase of a mix, is kept"
        ),
        "type": "integer",
        "minimum": 1,
        "default": 100,
    },
    "width": {
        "description": (
            f"Channels of the first layer; {WIDTH} is the published network, which alone has weights to start from"
        ),
        "type": "integer",
        "minimum": 1,
        "default": WIDTH,
    },
    "weights": {
        "description": (
            "ImageNet weights to start from: imagenet obtains torchvision's, else a file of them; null starts at random"
        ),
        "type": ["string", "null"],
        "default": None,
    },
}


@dataclass(frozen=True)
class Method(declared.Method):
    """A classifier.

    starts_from: the feature network, a name of `mammosynth.networks.NETWORKS`, that it starts from; screens: whether it
    is a quick look at mixes, which the report shows apart from trained networks; phases: whether one without ``steps``
    can be fitted to a mix of several phases; takes: which settings of ``SHARED`` it has. It is given those and its own,
    by name.
    """

    starts_from: str | None = None
    screens: bool = False
    phases: bool = False


def recipe(**values: Any) -> dict[str, Mapping[str, Any]]:
    """Settings of ``SHARED`` with defaults of a classifier's own, found on validation parts (benchmarks/README.md)."""
    return {key: {**SHARED[key], "default": value} for key, value in values.items()}


LOOP = ("steps", "batch", "learning_rate", "weight_decay", "evaluate_every")  # what trains a network

METHODS = {
    "resnet18": Method("mammosynth.classifiers.resnet18:ResNet18", "ResNet-18", takes=(*LOOP, "width", "weights")),
    "resnet50": Method("mammosynth.classifiers.resnet50:ResNet50", "ResNet-50", takes=(*LOOP, "width", "weights")),
    "efficientnet_lite0": Method(
        "mammosynth.classifiers.efficientnet_lite0:EfficientNetLite0",
        "EfficientNet-Lite0",
        takes=("batch", "weight_decay"),
        own=recipe(steps=80, learning_rate=0.0001, evaluate_every=20),
        starts_from="efficientnet_lite0",
    ),
    "probe": Method(
        "mammosynth.classifiers.probe:Probe",
        "probe (EfficientNet-Lite0)",
        starts_from="efficientnet_lite0",
        screens=True,
        phases=True,
    ),
    "probe_squeezenet": Method(
        "mammosynth.classifiers.probe:SqueezeNetProbe",
        "probe (SqueezeNet 1.1)",
        starts_from="squeezenet",
        screens=True,
        phases=True,
    ),
}
