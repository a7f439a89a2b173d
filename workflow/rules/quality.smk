"""What synthetic ROIs are worth beside real ones.  Only the training part is looked at.

In: results/{modality}/fold{fold}/train.npz, synthetic/{gan}/seed{seed}.npz; resources/parameters.yaml
Out: results/parameters/{name}: parameter files, checked; results/{modality}/fold{fold}/quality/{gan}/seed{seed}.csv and
     quality/real.csv: tidy rows; quality/reference.npz: what all generators of a fold are judged against.
"""


rule get_parameters:
    output:
        file="results/parameters/{name}",
    log:
        "logs/get_parameters/{name}.log",
    benchmark:
        "benchmarks/get_parameters/{name}.tsv"
    wildcard_constraints:
        name="|".join(PARAMETERS),
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        declaration=lambda wildcards: PARAMETERS[wildcards.name],
        folder=config["parameters"],
    script:
        "../scripts/get_parameters.py"


rule assess_real:
    input:
        **QUALITY_PARAMETERS,
        train="results/{modality}/fold{fold}/train.npz",
    output:
        rows="results/{modality}/fold{fold}/quality/real.csv",
        reference="results/{modality}/fold{fold}/quality/reference.npz",
    log:
        "logs/assess_real/{modality}/fold{fold}.log",
    benchmark:
        "benchmarks/assess_real/{modality}/fold{fold}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=3000,
        runtime=60,
    params:
        extractors=EXTRACTORS,
        statistics=config["statistics"],
    script:
        "../scripts/assess_real.py"


rule assess:
    input:
        **QUALITY_PARAMETERS,
        train="results/{modality}/fold{fold}/train.npz",
        reference="results/{modality}/fold{fold}/quality/reference.npz",
        synthetic="results/{modality}/fold{fold}/synthetic/{gan}/seed{seed}.npz",
    output:
        rows="results/{modality}/fold{fold}/quality/{gan}/seed{seed}.csv",
    log:
        "logs/assess/{modality}/fold{fold}/{gan}/seed{seed}.log",
    benchmark:
        "benchmarks/assess/{modality}/fold{fold}/{gan}/seed{seed}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=3000,
        runtime=60,
    params:
        extractors=EXTRACTORS,
        statistics=config["statistics"],
    script:
        "../scripts/assess.py"
