"""Classifiers: a mix of real and synthetic training ROIs -> a trained classifier -> its predictions -> scores.

In: results/{modality}/{split}/train.npz, val.npz, test.npz, partition.csv, synthetic/{gan}/seed{seed}.npz
Out: results/{modality}/{split}/classifiers/{classifier}/{mix}/seed{seed}.pt and .csv,
     results/{modality}/{split}/predictions/{classifier}/{mix}/seed{seed}.csv, results/tables/scores.csv and
     comparisons.csv; where a modality has external test databases,
     predictions_external/{classifier}/{mix}/seed{seed}.csv; beside each classifier its model card, .md, and what its
     training ROIs are like, .npz, without which `mammosynth predict` does not use it
The job that trains a classifier predicts with it, too, when its file is written: only then is the test part read.
Thresholds and calibration come from the predictions of the validation part.
"""


rule train_classifier:
    input:
        unpack(mix_inputs),
        sound=study_is_sound,
        # whose databases lesions are the digests of the parts say as well
        partition=ancient("results/{modality}/{split}/partition.csv"),
    output:
        model="results/{modality}/{split}/classifiers/{classifier}/{mix}/seed{seed}.pt",
        history="results/{modality}/{split}/classifiers/{classifier}/{mix}/seed{seed}.csv",
        predictions="results/{modality}/{split}/predictions/{classifier}/{mix}/seed{seed}.csv",
    log:
        "logs/train_classifier/{modality}/{split}/{classifier}/{mix}/seed{seed}.log",
    benchmark:
        "benchmarks/train_classifier/{modality}/{split}/{classifier}/{mix}/seed{seed}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=3000,
        runtime="4h",
    params:
        code=code_of("train_classifier"),
        code_of_classifier=lambda wildcards: code_of_classifier(wildcards.classifier),
        settings=lookup("classifiers/{classifier}", within=config),
        weights=lambda wildcards: contents_of(weights_of(wildcards.classifier)),
        networks=lambda wildcards: digests_of(parameters_of_classifier(wildcards.classifier)),
        kept=KEPT,
        # Not an output: Snakemake would delete it before the rerun that is to resume from it.
        checkpoint="checkpoints/{modality}/{split}/classifiers/{classifier}/{mix}/seed{seed}.pt",
    script:
        "../scripts/train_classifier.py"


# A job of its own: an external database that comes or goes trains nothing, and predicts nothing else.
rule predict_external:
    input:
        unpack(lambda wildcards: parameter_files(networks_of_classifier(wildcards.classifier))),
        external=ancient("results/{modality}/external.npz"),
        digest="results/{modality}/external.sha256",
        sound=study_is_sound,
        model="results/{modality}/{split}/classifiers/{classifier}/{mix}/seed{seed}.pt",
        partition=ancient("results/{modality}/{split}/partition.csv"),
    output:
        predictions="results/{modality}/{split}/predictions_external/{classifier}/{mix}/seed{seed}.csv",
    log:
        "logs/predict_external/{modality}/{split}/{classifier}/{mix}/seed{seed}.log",
    benchmark:
        "benchmarks/predict_external/{modality}/{split}/{classifier}/{mix}/seed{seed}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=3000,
        runtime="1h",
    params:
        code=code_of("predict_external"),
        code_of_classifier=lambda wildcards: code_of_classifier(wildcards.classifier),
        networks=lambda wildcards: digests_of(networks_of_classifier(wildcards.classifier)),
        kept=KEPT,
    script:
        "../scripts/predict_external.py"


# What is needed to use a classifier by itself, beside its file: its card, and what its training ROIs are like.
rule write_model_cards:
    input:
        **image_sets("train"),
        sound=study_is_sound,
        table="results/{modality}/rois.csv",
        reference="results/{modality}/{split}/quality/reference.npz",
        models=expand(
            "results/{{modality}}/{{split}}/classifiers/{classifier}/{mix}/seed{seed}.pt",
            classifier=CLASSIFIERS,
            mix=MIXES,
            seed=SEEDS,
        ),
        predictions=expand(
            "results/{{modality}}/{{split}}/predictions/{classifier}/{mix}/seed{seed}.csv",
            classifier=CLASSIFIERS,
            mix=MIXES,
            seed=SEEDS,
        ),
    output:
        cards=expand(
            "results/{{modality}}/{{split}}/classifiers/{classifier}/{mix}/seed{seed}.{suffix}",
            classifier=CLASSIFIERS,
            mix=MIXES,
            seed=SEEDS,
            suffix=["md", "npz"],
        ),
    log:
        "logs/write_model_cards/{modality}/{split}.log",
    benchmark:
        "benchmarks/write_model_cards/{modality}/{split}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code_of("write_model_cards"),
        rois=config["rois"],
        methods={name: config["classifiers"][name]["method"] for name in CLASSIFIERS},
        network=EXTRACTORS[0],
        statistics={name: config["statistics"][name] for name in ("resamples", "seed")},
    script:
        "../scripts/write_model_cards.py"


rule score_classifiers:
    input:
        predictions=expand(
            "results/{modality}/{split}/predictions/{classifier}/{mix}/seed{seed}.csv",
            modality=MODALITIES,
            split=SPLITS,
            classifier=CLASSIFIERS,
            mix=MIXES,
            seed=SEEDS,
        ),
        external=expand(
            "results/{modality}/{split}/predictions_external/{classifier}/{mix}/seed{seed}.csv",
            modality=TESTED_OUTSIDE,
            split=SPLITS,
            classifier=CLASSIFIERS,
            mix=MIXES,
            seed=SEEDS,
        ),
        splits="results/tables/splits.csv",
    output:
        scores=report(
            "results/tables/scores.csv",
            caption="../report/scores.rst",
            category="Tables",
            labels={"table": "all scores"},
        ),
        comparisons=report(
            "results/tables/comparisons.csv",
            caption="../report/comparisons.rst",
            category="Tables",
            labels={"table": "each run's networks compared"},
        ),
    log:
        "logs/score_classifiers.log",
    benchmark:
        "benchmarks/score_classifiers.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        code=code_of("score_classifiers"),
        statistics=lookup("statistics", within=config),
    script:
        "../scripts/score_classifiers.py"
