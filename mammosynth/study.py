"""What a configuration must satisfy beyond its schema: names that it uses exist, and parts of it agree.

Checked before the workflow plans a job: Snakemake calls outputs whose inputs cannot be made up to date.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mammosynth.classifiers import METHODS as CLASSIFIERS
from mammosynth.classifiers.mixes import Mix, parse_mixes
from mammosynth.classifiers.settings import resolve as resolve_classifier
from mammosynth.databases.phantoms import writer_of
from mammosynth.databases.readers import database_of
from mammosynth.databases.settings import resolve as resolve_source
from mammosynth.errors import InputError, Problems
from mammosynth.gans import ELSEWHERE, METHODS
from mammosynth.gans.settings import check as check_generator
from mammosynth.gans.settings import resolve
from mammosynth.networks import NETWORKS

# Names that tables, figures and mixes use themselves, and for what.
MODALITIES = ("ultrasound", "mammography")
RESERVED = {
    "sources": dict.fromkeys(("all", "pooled"), "all databases together")
    | dict.fromkeys(MODALITIES, "the databases of a modality"),
    "generators": {
        "all": "all generators together",
        "balance": "a dose",
        "classic": "classical augmentation",
        "controls": "mixes without a generator",
        "floor": "real ROIs beside real ROIs",
        "held_out": "the validation part",
        "real": "real ROIs",
    },
}


def check(config: Mapping[str, Any]) -> None:
    """Check the names and cross-references of a configuration whose schema holds.

    Raises InputError naming the key, what it says and what it may say.
    """
    for key, reserved in RESERVED.items():
        if taken := next((name for name in config[key] if name in reserved), None):
            raise InputError(f"config: {key}.{taken}: that name stands for {reserved[taken]}: choose another")
    _check_known("databases", config["databases"], config["sources"], "sources")
    _check_external(config)
    _check_known("gans", config["gans"], config["generators"], "generators")
    resolve_sources(config)
    _check_known("quality.extractors", config["quality"]["extractors"], NETWORKS, "networks")
    for name, given in config["generators"].items():
        check_generator(name, given)
    for name in made_elsewhere(config):
        _check_modality(name, config["generators"][name], modalities(config))
    for name in selected(config):
        _check_origin(name, config["sources"][name])
    for fold in config["folds"]:
        if fold >= config["partition"]["folds"]:
            count = config["partition"]["folds"]
            raise InputError(f"config: folds names fold {fold}, but partition.folds makes 0 to {count - 1}")
    for modality in modalities(config):
        _check_official_folds(config, databases_of(config, modality))
    rank_extractors(config)
    mixes = parse_mixes(config["mixes"], config["gans"])
    for name, settings in resolve_classifiers(config).items():
        for mix in mixes:
            _check_phases(mix, name, settings)
    if "real" not in [mix.name for mix in mixes]:
        raise InputError("config: mixes lacks 'real', which every other mix is compared with: add it")


def resolve_sources(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of each source, selected or not, with the defaults of its reader filled in.

    Raises InputError, one for all of them, naming the key, what is wrong and what it may be.
    """
    problems, found = Problems(), {}
    for name, settings in config["sources"].items():
        with problems.gathered():
            found[name] = resolve_source(name, settings)
    problems.refuse()
    return found


def resolve_generators(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of each selected generator, with those of its preset filled in.

    Raises InputError naming the key, if settings are missing, of no use or contradict each other.
    """
    _check_known("gans", config["gans"], config["generators"], "generators")
    return {name: resolve(name, config["generators"][name]) for name in config["gans"]}


def resolve_classifiers(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of each selected classifier, with the defaults of its method filled in.

    Raises InputError naming the key, if a name is not known, or a setting is of no use or out of bounds.
    """
    _check_known("classify_with", config["classify_with"], config["classifiers"], "classifiers")
    found = {name: resolve_classifier(name, given) for name, given in config["classifiers"].items()}
    return {name: found[name] for name in config["classify_with"]}


def made_elsewhere(config: Mapping[str, Any]) -> list[str]:
    """Names of the generators of this study that are none: their images are given, and nothing of them is trained."""
    return [name for name in config["gans"] if config["generators"][name]["method"] in ELSEWHERE]


def trained(config: Mapping[str, Any]) -> list[str]:
    """Names of the generators that this study trains."""
    return [name for name in config["gans"] if name not in made_elsewhere(config)]


def trained_against(config: Mapping[str, Any]) -> dict[str, str]:
    """The feature network that a generator is trained against, by the generators of this study that are."""
    seen = {name: METHODS[config["generators"][name]["method"]].feature_network for name in trained(config)}
    return {name: network for name, network in seen.items() if network}


def rank_extractors(config: Mapping[str, Any]) -> list[str]:
    """The study's extractors, those first that no GAN is trained against.

    Generators are ranked, and their steps chosen, on the first.  All GANs that there are count, so that one more in a
    study changes nothing for the others.

    Raises InputError if a GAN of the study is trained against each of them.
    """
    chosen, seen = config["quality"]["extractors"], set(trained_against(config).values())
    if not set(chosen) - seen:
        raise InputError(
            f"config: quality.extractors names only {', '.join(chosen)}, which a GAN of this study is trained against; "
            "no GAN can be ranked or its best step chosen: add squeezenet"
        )
    of_methods = {method.feature_network for method in METHODS.values()}
    return sorted(chosen, key=lambda extractor: extractor in of_methods)


def modalities(config: Mapping[str, Any]) -> list[str]:
    """The modalities of the databases that are trained on, in the order of their first mention."""
    return list(dict.fromkeys(config["sources"][name]["modality"] for name in config["databases"]))


def selected(config: Mapping[str, Any]) -> list[str]:
    """Names of all selected databases, those last that are external."""
    return [*config["databases"], *config.get("external", [])]


def databases_of(config: Mapping[str, Any], modality: str) -> list[str]:
    """Names of the databases of one modality that are trained on: all but the external ones."""
    return [name for name in config["databases"] if config["sources"][name]["modality"] == modality]


def external_of(config: Mapping[str, Any], modality: str) -> list[str]:
    """Names of the external test databases of one modality."""
    return [name for name in sources_of(config, modality) if name not in config["databases"]]


def sources_of(config: Mapping[str, Any], modality: str) -> list[str]:
    """Names of all selected databases of one modality, those last that are external."""
    return [name for name in selected(config) if config["sources"][name]["modality"] == modality]


def _check_external(config: Mapping[str, Any]) -> None:
    """External test databases are none that are trained on, of a modality that has some, and in no fold."""
    external = config.get("external", [])
    _check_known("external", external, config["sources"], "sources")
    for name in external:
        settings = config["sources"][name]
        if name in config["databases"]:
            raise InputError(
                f"config: external names {name}, which databases names, too: what is trained on is no external test: "
                "leave it out of one of them"
            )
        if (modality := settings["modality"]) not in modalities(config):
            raise InputError(
                f"config: external names {name}, but no source of {modality} is among databases, so that there is no "
                "classifier to test: add one, or leave it out"
            )
        if settings.get("official_folds"):
            raise InputError(
                f"config: sources.{name}.official_folds: an external database is in no fold: leave out official_folds"
            )


def _check_origin(name: str, settings: Mapping[str, Any]) -> None:
    """Where the files of a source come from is said once, and it is possible."""
    where, reader = f"config: sources.{name}", settings["reader"]
    if len({"root", "phantoms", "download"} & set(settings)) != 1:
        raise InputError(
            f"{where} needs either root (its folder), phantoms (to make them) or download (to fetch it), and one of "
            "them only"
        )
    if "download" in settings and not database_of(reader).download:
        raise InputError(f"{where}: there is nothing to download for reader {reader}: give its root")
    if "phantoms" in settings:
        try:
            writer_of(reader)
        except InputError as error:
            raise InputError(f"{where}.phantoms: {error}") from error


def _check_modality(name: str, settings: Mapping[str, Any], modalities: Iterable[str]) -> None:
    """Of which modality given images are is said, where a study has several."""
    said = {key for key, value in settings.items() if "{modality}" in str(value)}
    if len(of := list(modalities)) > 1 and "root" not in said and not {"benign", "malignant"} <= said:
        raise InputError(
            f"config: generators.{name}: of which modality its images are is not said, and this study has "
            f"{' and '.join(of)}: write {{modality}} in root or in both patterns, or choose databases of one modality"
        )


def _check_phases(mix: Mix, classifier: str, settings: Mapping[str, Any]) -> None:
    """A mix's phases share the steps of a classifier, of which each has some."""
    if "steps" in settings:
        mix.ends(settings["steps"])
    elif len(mix.phases) > 1 and not CLASSIFIERS[settings["method"]].phases:
        raise InputError(
            f"config: mixes: {mix.name} has phases, and classifier {classifier} no steps for them to share: leave out "
            "the mix or the classifier"
        )


def _check_official_folds(config: Mapping[str, Any], names: Iterable[str]) -> None:
    """Databases of one modality keep their official folds all, or none, and then these are the study's."""
    asked = {name: config["sources"][name].get("official_folds") for name in names}
    folds = config["partition"]["folds"]
    for name, count in asked.items():
        if any(asked.values()) and not count:
            other = next(other for other in asked if asked[other])
            raise InputError(
                f"config: sources.{other}.official_folds cannot be kept, as {name} is pooled with it and has none: "
                "leave out official_folds, or one of the two databases"
            )
        if count and count != folds:
            raise InputError(
                f"config: sources.{name}.official_folds is {count}, but partition.folds is {folds}: make them equal"
            )


def _check_known(key: str, names: Iterable[str], known: Mapping[str, Any], where: str) -> None:
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"config: {key} names {', '.join(unknown)}, not among {where}: {', '.join(known)}")
