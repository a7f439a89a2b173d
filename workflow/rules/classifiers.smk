"""Classifiers: a mix of real and synthetic training ROIs -> a trained ResNet -> predictions -> scores.

In: results/{modality}/{split}/train.npz, val.npz, test.npz, partition.csv, synthetic/{gan}/seed{seed}.npz
Out: results/{modality}/{split}/classifiers/{mix}/seed{seed}.pt and .csv, results/{modality}/{split}/predictions.csv,
     results/tables/scores.csv
Only `predict` reads the test part, and it fits nothing: the threshold comes from the validation part.
"""


rule train_classifier:
    input:
        unpack(mix_inputs),
        sound=study_is_sound,
    output:
        model="results/{modality}/{split}/classifiers/{mix}/seed{seed}.pt",
        history="results/{modality}/{split}/classifiers/{mix}/seed{seed}.csv",
    log:
        "logs/train_classifier/{modality}/{split}/{mix}/seed{seed}.log",
    benchmark:
        "benchmarks/train_classifier/{modality}/{split}/{mix}/seed{seed}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=3000,
        runtime="4h",
    params:
        code=code_of("train_classifier"),
        settings=lookup("classifier", within=config),
        weights=contents_of(WEIGHTS),
        # Not an output: Snakemake would delete it before the rerun that is to resume from it.
        checkpoint="checkpoints/{modality}/{split}/classifiers/{mix}/seed{seed}.pt",
    script:
        "../scripts/train_classifier.py"


rule predict:
    input:
        **image_sets("val", "test"),
        sound=study_is_sound,
        models=expand(
            "results/{{modality}}/{{split}}/classifiers/{mix}/seed{seed}.pt",
            mix=MIXES,
            seed=SEEDS,
        ),
        partition="results/{modality}/{split}/partition.csv",
    output:
        predictions="results/{modality}/{split}/predictions.csv",
    log:
        "logs/predict/{modality}/{split}.log",
    benchmark:
        "benchmarks/predict/{modality}/{split}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=3000,
        runtime="1h",
    params:
        code=code_of("predict"),
    script:
        "../scripts/predict.py"


rule score_classifiers:
    input:
        predictions=expand(
            "results/{modality}/{split}/predictions.csv", modality=MODALITIES, split=SPLITS
        ),
        splits="results/tables/splits.csv",
    output:
        scores=report(
            "results/tables/scores.csv",
            caption="../report/scores.rst",
            category="Tables",
            labels={"table": "all scores"},
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
