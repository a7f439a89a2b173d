"""Which classifiers of a study are screens, and where one starts from features that a GAN has seen."""

from collections.abc import Mapping
from typing import Any

from mammosynth.classifiers import METHODS
from mammosynth.findings.names import name_of
from mammosynth.networks import NETWORKS
from mammosynth.study import trained_against


def screens_of(config: Mapping[str, Any]) -> list[str]:
    """The classifiers of a study that are screens, and no trained networks."""
    return [name for name in config["classify_with"] if METHODS[config["classifiers"][name]["method"]].screens]


def shared_features(config: Mapping[str, Any]) -> list[str]:
    """A sentence for each feature network that classifiers of a study start from and GANs were trained against."""
    starts = {name: METHODS[config["classifiers"][name]["method"]].starts_from for name in config["classify_with"]}
    taught = trained_against(config)
    sentences = []
    for network in dict.fromkeys(taught.values()):
        gans = [name_of(gan) for gan, seen in taught.items() if seen == network]
        classifiers = [name_of(name) for name, start in starts.items() if start == network]
        others = [name_of(name) for name, start in starts.items() if start != network]
        if classifiers:
            beside = f"read {', '.join(others)} beside it" if others else "classify with another network beside it"
            sentences.append(
                f"{', '.join(gans)} learnt against the features of {NETWORKS[network].title}, the "
                f"start of {', '.join(classifiers)}: what its ROIs add there may be of these features alone; {beside}."
            )
    return sentences
