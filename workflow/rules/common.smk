"""Names and helper functions that the rules share."""

import os
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

from mammosynth import databases, gpu, study
from mammosynth.classifiers.mixes import largest_dose, parse_mix
from mammosynth.errors import InputError
from mammosynth.gans import METHODS

try:
    study.check(config)
    PRESETS = {name: config["generators"][name].get("preset") for name in config["gans"]}
    config["generators"] |= study.resolve_generators(config)
    EXTRACTORS = study.rank_extractors(config)
    DOWNLOADS = databases.expand(config["downloads"], "downloads")
except InputError as error:
    raise WorkflowError(str(error))

# A list of exclusions lies in the working directory, or is one of those that come with the workflow.
for source in config["sources"].values():
    if "exclusions" in source and not Path(os.path.expandvars(source["exclusions"])).exists():
        if (shipped := Path(workflow.basedir, source["exclusions"])).exists():
            source["exclusions"] = str(shipped)

MODALITIES = study.modalities(config)
GANS, MIXES = config["gans"], config["mixes"]
FOLDS, SEEDS = config["folds"], config["seeds"]
# Of GANs: as many verdicts on memorising.
TRAININGS = len(MODALITIES) * len(GANS) * len(FOLDS) * len(SEEDS)

# One GPU a job where there is one; a machine without leaves all its cores to parallel jobs instead. A batch system's
# profile says gpu=1 for its nodes.
GPU = 1 if gpu.visible() else 0

with open(f"{workflow.basedir}/resources/parameters.yaml") as file:
    PARAMETERS = yaml.safe_load(file)

# Weights laid beside the others are wish enough for FID and KID.
if "inception" not in EXTRACTORS and config["parameters"]:
    if Path(config["parameters"], PARAMETERS["inception"]["file"]).exists():
        EXTRACTORS = ["inception", *EXTRACTORS]

# What the databases are, and where those are had that may be downloaded.
with open(f"{workflow.basedir}/resources/databases.yaml") as file:
    DATABASES = yaml.safe_load(file)

for source in config["databases"]:
    reader = config["sources"][source]["reader"]
    if "download" in config["sources"][source] and reader not in DATABASES:
        raise WorkflowError(
            f"config: sources.{source}: there is nothing to download for reader {reader}: give its root"
        )

QUALITY_PARAMETERS = {
    name: f"results/parameters/{name}" for name in ["niqe", "brisque", *EXTRACTORS]
}


def sources_of(modality):
    """Names of the selected databases of a modality."""
    return study.sources_of(config, modality)


def settings_of(source):
    """The settings of a source, with the root that a download of it has."""
    settings = config["sources"][source]
    return (
        settings | {"root": f"{DOWNLOADS}/{settings['reader']}"}
        if "download" in settings
        else settings
    )


def training_inputs(wildcards):
    """What a GAN is trained with beside the training part: feature networks, what to judge steps by, where to begin."""
    settings = config["generators"][wildcards.gan]
    folder, inputs = "results/{modality}/fold{fold}", {}
    networks = {METHODS[settings["method"]].sees} - {None}
    if settings.get("evaluate_every"):
        inputs["validation"] = f"{folder}/val.npz"
        networks |= {EXTRACTORS[0]}
    if start := settings.get("start_from"):
        inputs |= {"start_from": start, "partition": f"{folder}/partition.csv"}
    return inputs | {name: f"results/parameters/{name}" for name in networks}


FILTER = config["quality"]["filter"]
FILTERED = (
    FILTER["copies"]
    or FILTER["labels"]
    or FILTER["naturalness"] is not None
    or config["quality"]["on_memorising"] == "stop"
)


def mix_inputs(wildcards):
    """Image sets that a mix is made of: the real training part, and those of its GANs that pass the filter, if any."""
    folder = "results/{modality}/fold{fold}"
    gans = parse_mix(wildcards.mix, GANS).gans
    return {
        "real": f"{folder}/train.npz",
        "synthetic": [
            f"{folder}/{'filtered' if FILTERED else 'synthetic'}/{gan}/seed{{seed}}.npz"
            for gan in gans
        ],
    }
