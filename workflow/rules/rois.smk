"""Lesions to ROIs to patient-disjoint parts.

In: results/{modality}/lesions.csv. Out: rois.npz, rois.csv and contact_sheet.png of the modality, curation/alike.csv,
the pairs of ROIs of different patients that may show one lesion, and for each fold partition.csv with the image sets
train.npz, val.npz and test.npz, and their digests; where a modality has external test databases, external.npz, which is
the same for all folds, with a digest of its own. What comes later takes an image set as `ancient` and its digest beside
it: written anew with the same ROIs it reruns nothing.
"""

from mammosynth.databases import near_duplicate_bits


rule crop_rois:
    input:
        "results/{modality}/lesions.csv",
    output:
        images="results/{modality}/rois.npz",
        table="results/{modality}/rois.csv",
        alike="results/{modality}/curation/alike.csv",
    log:
        "logs/crop_rois/{modality}.log",
    benchmark:
        "benchmarks/crop_rois/{modality}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 4
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        code=code_of("crop_rois"),
        rois=config["rois"],
        searched=lambda wildcards: [
            source
            for source in sources_of(wildcards.modality)
            if near_duplicate_bits(config["sources"][source]) is not None
        ],
        external=lambda wildcards: external_of(wildcards.modality),
    script:
        "../scripts/crop_rois.py"


rule plot_contact_sheet:
    input:
        "results/{modality}/rois.npz",
    output:
        report(
            "results/{modality}/contact_sheet.png",
            caption="../report/contact_sheet.rst",
            category="Data",
            labels={"modality": "{modality}", "figure": "ROIs"},
        ),
    log:
        "logs/plot_contact_sheet/{modality}.log",
    benchmark:
        "benchmarks/plot_contact_sheet/{modality}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("plot_contact_sheet"),
        databases=lambda wildcards: databases_of(wildcards.modality),
        external=lambda wildcards: external_of(wildcards.modality),
        phantoms=lambda wildcards: [
            source
            for source in sources_of(wildcards.modality)
            if "phantoms" in config["sources"][source]
        ],
    script:
        "../scripts/plot_contact_sheet.py"


rule partition:
    input:
        images="results/{modality}/rois.npz",
        table="results/{modality}/rois.csv",
    output:
        table="results/{modality}/{split}/partition.csv",
        train="results/{modality}/{split}/train.npz",
        val="results/{modality}/{split}/val.npz",
        test="results/{modality}/{split}/test.npz",
        # as sha256sum writes and checks them
        digests="results/{modality}/{split}/parts.sha256",
    log:
        "logs/partition/{modality}/{split}.log",
    benchmark:
        "benchmarks/partition/{modality}/{split}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("partition"),
        partition=config["partition"],
        external=lambda wildcards: external_of(wildcards.modality),
    script:
        "../scripts/partition.py"


rule set_external_apart:
    input:
        images="results/{modality}/rois.npz",
        table="results/{modality}/rois.csv",
    output:
        images="results/{modality}/external.npz",
        digest="results/{modality}/external.sha256",
    log:
        "logs/set_external_apart/{modality}.log",
    benchmark:
        "benchmarks/set_external_apart/{modality}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("set_external_apart"),
        external=lambda wildcards: external_of(wildcards.modality),
    script:
        "../scripts/set_external_apart.py"


# A checkpoint, as all trainings wait for it: what is wrong with any database or parameter file of the study comes to
# light before hours of training. When it is done Snakemake looks again at what must run, and finds the trainings whose
# data are what they were. (Ancient inputs do not do: a job that runs hides what else changed for all jobs after it.)
checkpoint count_parts:
    input:
        partitions=expand(
            "results/{modality}/{split}/partition.csv", modality=MODALITIES, split=SPLITS
        ),
        digests=expand(
            "results/{modality}/{split}/parts.sha256", modality=MODALITIES, split=SPLITS
        )
        + expand("results/{modality}/external.sha256", modality=TESTED_OUTSIDE)
        + expand("results/{modality}/images/{gan}.sha256", modality=MODALITIES, gan=ELSEWHERE),
        images=expand(
            "results/{modality}/{split}/{part}.npz",
            modality=MODALITIES,
            split=SPLITS,
            part=["train", "val", "test"],
        )
        + expand("results/{modality}/external.npz", modality=TESTED_OUTSIDE),
        collected=expand("results/{modality}/images/{gan}.npz", modality=MODALITIES, gan=ELSEWHERE),
        parameters=[f"results/parameters/{name}" for name in STUDY_PARAMETERS],
    output:
        parts="results/tables/parts.csv",
        splits="results/tables/splits.csv",
    log:
        "logs/count_parts.log",
    benchmark:
        "benchmarks/count_parts.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("count_parts"),
        splits=SPLITS,
        parameters=[PARAMETERS[name]["sha256"] for name in STUDY_PARAMETERS],
        # of which as many are needed as mixes, the filter and quality ask for
        collected=[(modality, gan, dose_of(gan)) for modality in MODALITIES for gan in ELSEWHERE],
        oversample=config["quality"]["filter"]["oversample"],
        evaluates=any(config["generators"][gan].get("evaluate_every") for gan in GANS),
    script:
        "../scripts/count_parts.py"
