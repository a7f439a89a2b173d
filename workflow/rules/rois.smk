"""Lesions to ROIs to patient-disjoint parts.

In: results/{modality}/lesions.csv. Out: rois.npz, rois.csv and contact_sheet.png of the modality, curation/alike.csv,
the pairs of ROIs of different patients that may show one lesion, and for each fold partition.csv with the image sets train.npz, val.npz and test.npz.
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
        rois=config["rois"],
        searched=lambda wildcards: [
            source
            for source in sources_of(wildcards.modality)
            if near_duplicate_bits(config["sources"][source]) is not None
        ],
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
        databases=lambda wildcards: sources_of(wildcards.modality),
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
        table="results/{modality}/fold{fold}/partition.csv",
        train="results/{modality}/fold{fold}/train.npz",
        val="results/{modality}/fold{fold}/val.npz",
        test="results/{modality}/fold{fold}/test.npz",
    log:
        "logs/partition/{modality}/fold{fold}.log",
    benchmark:
        "benchmarks/partition/{modality}/fold{fold}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        partition=config["partition"],
    script:
        "../scripts/partition.py"


rule count_parts:
    input:
        partitions=expand(
            "results/{modality}/fold{fold}/partition.csv", modality=MODALITIES, fold=FOLDS
        ),
        parameters=QUALITY_PARAMETERS.values(),
    output:
        # Training waits for it, as `ancient` input: what is wrong with any database or parameter file of the study
        # comes to light before hours of training, and a database added later retrains nothing.
        "results/tables/parts.csv",
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
        study=[(modality, fold) for modality in MODALITIES for fold in FOLDS],
    script:
        "../scripts/count_parts.py"
