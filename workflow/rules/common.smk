"""Names and helper functions that the rules share."""

import functools
from pathlib import Path

from snakemake.jobs import Job

from mammosynth import code, gpu, parameters, paths, splits, study
from mammosynth.classifiers import METHODS as CLASSIFIER_METHODS
from mammosynth.classifiers.mixes import (
    added_dose,
    gans_with_doses,
    largest_dose,
    parse_mix,
    parse_mixes,
)
from mammosynth.databases.phantoms import writer_of
from mammosynth.databases.readers import READERS, database_of, module_of
from mammosynth.digests import sha256_of
from mammosynth.gans import METHODS
from mammosynth.gans.settings import settings_at
from mammosynth.job import was_refused
from mammosynth.networks import NETWORKS
from mammosynth.paths import IMAGENET
from mammosynth.quality.measures import OfFloor, OfImages, OfPairs, OfSets, OverHeldOut, measures_of

try:
    study.check(config)
    config |= paths.plain(config, workflow.basedir)
    config["sources"] |= study.resolve_sources(config)
    PRESETS = {name: config["generators"][name].get("preset") for name in config["gans"]}
    config["mixes"] = [mix.name for mix in parse_mixes(config["mixes"])]
    config["generators"] |= study.resolve_generators(config)
    config["classifiers"] |= study.resolve_classifiers(config)
    EXTRACTORS = study.rank_extractors(config)
except InputError as error:
    raise WorkflowError(str(error))

MODALITIES = study.modalities(config)
TESTED_OUTSIDE = [modality for modality in MODALITIES if study.external_of(config, modality)]
GANS, CLASSIFIERS, MIXES = config["gans"], config["classify_with"], config["mixes"]
TRAINED, ELSEWHERE = study.trained(config), study.made_elsewhere(config)
SPLITS, SEEDS = splits.splits_of(config), config["seeds"]
# What pictures, pages and the paper's tables show: trainings on whole training parts. Those on a share of one are in
# scores.csv and quality.csv beside them.
WHOLE = splits.splits_of(config, splits.WHOLE)
# Of GANs: as many verdicts on memorising.
TRAININGS = len(MODALITIES) * len(GANS) * len(SPLITS) * len(SEEDS)
# Of images made elsewhere: as many verdicts on leaks.
DRAWS = len(MODALITIES) * len(ELSEWHERE) * len(WHOLE) * len(SEEDS)

# `--resources gpu=0` holds for GPUs, too, that torch alone sees.
if (allowed := workflow.global_resources.get("gpu")) is not None and allowed.value == 0:
    gpu.hide()
# One GPU a job where there is one; a machine without leaves all its cores to parallel jobs instead. A batch system's
# profile says gpu=1 for its nodes.
GPU = 1 if gpu.shown() else 0

# `retries` are for what fails by the machine. Snakemake cannot be told so: it knows a number for all jobs of a rule.
Job.restart_times = property(
    lambda job: 0 if any(map(was_refused, job.log)) else job.rule.restart_times
)

PARAMETERS = parameters.declared() | {name: network.weights for name, network in NETWORKS.items()}

DOWNLOADS = config["downloads"]
# Where what takes long is kept by content; see mammosynth/kept.py.
KEPT = "checkpoints/kept"


def one_of(names):
    """A wildcard's constraint to some names; to nothing if there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def code_of(script):
    """A digest of what a script and the modules that it needs compute: a param of each rule, as results follow code."""
    return code.digest(f"{workflow.basedir}/workflow/scripts/{script}.py")


def captions_of(*names):
    """What workflow/report says of figures and tables, for our pages and tables as for Snakemake's own report.

    A param of what shows it, and of nothing else.
    """
    folder = Path(workflow.basedir, "workflow/report")
    return {name: (folder / f"{name}.rst").read_text(encoding="utf-8").strip() for name in names}


def pdf_of(figure):
    """The PDF beside a figure that is a drawing, and nothing beside one that is a picture."""
    return [f"{figure.removesuffix('.svg')}.pdf"] if figure.endswith(".svg") else []


def code_of_networks(names):
    """Digests of the code of feature networks, which no script names."""
    return {name: code.digest(code.module(NETWORKS[name].module)) for name in names}


def code_of_gan(wildcards):
    """A digest of the code of one GAN, which no script names."""
    return code.digest(code.module(METHODS[config["generators"][wildcards.gan]["method"]].module))


def code_of_classifier(name):
    """A digest of the code of one classifier, with that of the feature network that it starts from."""
    modules = [CLASSIFIER_METHODS[config["classifiers"][name]["method"]].module]
    modules += [NETWORKS[network].module for network in networks_of_classifier(name)]
    return code.digest(*map(code.module, modules))


def of_all_gans(file):
    """A file of a split for each GAN and seed, in their order."""
    return expand(f"results/{{{{modality}}}}/{{{{split}}}}/{file}", gan=GANS, seed=SEEDS)


def code_of_measures(*kinds):
    """What decides the values of measures of some kinds, which no script names: their records, and their code."""
    return {
        measure.name: (
            measure.computed,
            code.digest(code.module(measure.module)) if measure.function else None,
        )
        for kind in kinds
        for measure in measures_of(kind)
    }


def code_of_readers(wildcards):
    """A digest of the code of a modality's readers, which no script names."""
    readers = {config["sources"][source]["reader"] for source in sources_of(wildcards.modality)}
    return code.digest(*(code.module(module_of(reader)) for reader in sorted(readers)))


def parameter_files(names):
    """Parameter files as inputs. Their digests stand for them among the params, see `digests_of`, and not their age."""
    return {name: ancient(f"results/parameters/{name}") for name in names}


def digests_of(names):
    """The checksums that parameter files have: a file comes from another place without rerunning anything."""
    return {name: PARAMETERS[name]["sha256"] for name in names}


content_of = functools.cache(sha256_of)  # of a large file, once a call and not once a job


def contents_of(files):
    """Digests of files that a person gives: as params they notice one that was put in another's place and is older."""
    return {str(file): content_of(str(file)) for file in files if Path(file).is_file()}


def image_sets(*parts, split="{split}"):
    """Parts of a split as inputs, by name, and their digests, which stand for their age."""
    folder = f"results/{{modality}}/{split}"
    return {part: ancient(f"{folder}/{part}.npz") for part in parts} | {
        "digests": f"{folder}/parts.sha256"
    }


def study_is_sound(wildcards):
    """No input; but until the whole study's data and parameter files are read and right, no training begins.

    Every rule with many jobs asks for it. Then Snakemake looks anew at whether they must run, as it does for those jobs
    alone that wait for the checkpoint themselves.
    """
    checkpoints.count_parts.get()
    return []


def databases_of(modality):
    """Names of a modality's databases that are trained on."""
    return study.databases_of(config, modality)


def external_of(modality):
    """Names of a modality's external test databases."""
    return study.external_of(config, modality)


def sources_of(modality):
    """Names of all selected databases of a modality."""
    return study.sources_of(config, modality)


def lists_of(modality):
    """The files of exclusions and of patients that its databases have."""
    return [
        config["sources"][source][setting]
        for source in sources_of(modality)
        for setting in paths.LISTS
        if config["sources"][source].get(setting)
    ]


def settings_of(source):
    """The settings of a source, with the root that a download of it has."""
    settings = config["sources"][source]
    return (
        settings | {"root": f"{DOWNLOADS}/{settings['reader']}"}
        if "download" in settings
        else settings
    )


def networks_of(gan):
    """The feature networks that a GAN is trained with: the one that it is trained against, and the one that judges its steps."""
    settings = config["generators"][gan]
    judge = {EXTRACTORS[0]} if settings.get("evaluate_every") else set()
    return sorted({METHODS[settings["method"]].feature_network} - {None} | judge)


def networks_of_classifier(name):
    """The feature network that a classifier starts from, if it starts from one."""
    network = CLASSIFIER_METHODS[config["classifiers"][name]["method"]].starts_from
    return [network] if network else []


def parameters_of_classifier(name):
    """The parameter files that training a classifier reads: of its feature network, or of its ImageNet weights."""
    settings = config["classifiers"][name]
    weights = [settings["method"]] if settings.get("weights") == IMAGENET else []
    return networks_of_classifier(name) + weights


# Of the networks of measures and of the classifier that judges labels, and models of naturalness.
QUALITY_PARAMETERS = sorted(
    {
        *(
            name
            for measure in measures_of(OfImages)
            for name in measure.reads
            if name in PARAMETERS
        ),
        *EXTRACTORS,
        *networks_of_classifier(CLASSIFIERS[0]),
    }
)
# All that the study needs, which trainings wait for.
STUDY_PARAMETERS = sorted(
    {
        *QUALITY_PARAMETERS,
        *(network for gan in TRAINED for network in networks_of(gan)),
        *(file for name in CLASSIFIERS for file in parameters_of_classifier(name)),
    }
)


def dose_of(gan):
    """Images per real training image that a generator's largest dose asks for."""
    return largest_dose(parse_mixes(MIXES), gan)


def start_of(wildcards):
    """The generator's file that a GAN begins at, if it begins at one."""
    return (
        config["generators"][wildcards.gan]
        .get("start_from", "")
        .format(
            modality=wildcards.modality,
            split=wildcards.split,
            fold=splits.read_name(wildcards.split).fold,
            seed=wildcards.seed,
        )
    )


def given_start_of(wildcards):
    """That file if a person gives it and no training of this study makes it."""
    start = start_of(wildcards)
    return [start] if start and not start.startswith("results/") else []


def training_inputs(wildcards):
    """What a GAN is trained with: ROIs, feature networks, what to judge steps by, where to begin."""
    settings = config["generators"][wildcards.gan]
    inputs = image_sets("train", *(["val"] if settings.get("evaluate_every") else []))
    if start := start_of(wildcards):
        # which ROIs are held out the digests of the parts say as well
        inputs |= {
            "start_from": ancient(start) if given_start_of(wildcards) else start,
            "partition": ancient("results/{modality}/{split}/partition.csv"),
        }
    return inputs | parameter_files(networks_of(wildcards.gan))


def parts_to_leak(wildcards):
    """The parts of a modality that images made elsewhere must not show."""
    return ["val", "test", *(["external"] if wildcards.modality in TESTED_OUTSIDE else [])]


def leak_inputs(wildcards):
    """These parts, and the training part."""
    inputs = image_sets("train", "val", "test")
    if "external" in parts_to_leak(wildcards):
        inputs["external"] = ancient("results/{modality}/external.npz")
        inputs["digest_of_external"] = "results/{modality}/external.sha256"
    return inputs


FILTER = config["quality"]["filter"]
FILTERED = (
    FILTER["copies"]
    or FILTER["labels"]
    or FILTER["naturalness"] is not None
    or config["quality"]["on_memorising"] == "stop"
)


def weights_of(classifier):
    """The file of weights that a person gives a classifier to start from, if any."""
    weights = config["classifiers"][classifier].get("weights")
    return [weights] if weights not in (None, IMAGENET) else []


def mix_inputs(wildcards):
    """What a classifier is trained with: the real training part, images of the mix's GANs that pass the filter, weights.

    The validation part chooses, and the test part is there to be predicted.
    """
    synthetic = "filtered" if FILTERED else "synthetic"
    return (
        image_sets("train", "val", "test")
        | parameter_files(parameters_of_classifier(wildcards.classifier))
        | {"weights": [ancient(path) for path in weights_of(wildcards.classifier)]}
        | {
            f"images_of_{gan}": f"results/{{modality}}/{{split}}/{synthetic}/{gan}/seed{{seed}}.npz"
            for gan in parse_mix(wildcards.mix).gans
        }
    )
