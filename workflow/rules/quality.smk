"""What synthetic ROIs are worth beside real ones.  The training part is looked at, and the validation part as real
ROIs that no generator was trained on; never the test part.

In: results/{modality}/{split}/train.npz, val.npz, synthetic/{gan}/seed{seed}.npz, a classifier of the real training
    part; resources/parameters.yaml, mammosynth/networks/networks.yaml
Out: results/parameters/{name}: parameter files, checked; results/{modality}/{split}/quality/{gan}/seed{seed}.csv and
     quality/real.csv: tidy rows; quality/{gan}/seed{seed}_images.csv and quality/real_images.csv: a line an image;
     quality/reference.npz: what all generators of a fold are judged against; filtered/{gan}/seed{seed}.npz: the
     synthetic ROIs that the study's filter lets through, and seed{seed}.csv: what became of each.
"""

# One classifier a fold judges the labels of all generators: the study's first, of real ROIs alone and the first seed.
LABEL_CLASSIFIER = (
    f"results/{{modality}}/{{split}}/classifiers/{CLASSIFIERS[0]}/real/seed{SEEDS[0]}.pt"
)


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
        code=code_of("get_parameters"),
        declaration=lambda wildcards: PARAMETERS[wildcards.name],
    script:
        "../scripts/get_parameters.py"


rule assess_real:
    input:
        **parameter_files(QUALITY_PARAMETERS),
        **image_sets("train", "val"),
        sound=study_is_sound,
        classifier=LABEL_CLASSIFIER,
    output:
        rows="results/{modality}/{split}/quality/real.csv",
        images="results/{modality}/{split}/quality/real_images.csv",
        reference="results/{modality}/{split}/quality/reference.npz",
    log:
        "logs/assess_real/{modality}/{split}.log",
    benchmark:
        "benchmarks/assess_real/{modality}/{split}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=3000,
        runtime=60,
    params:
        code=code_of("assess_real"),
        code_of_networks=code_of_networks(EXTRACTORS),
        code_of_classifier=code_of_classifier(CLASSIFIERS[0]),
        extractors={name: NETWORKS[name].title for name in EXTRACTORS},
        parameters=digests_of(QUALITY_PARAMETERS),
        statistics=config["statistics"],
    script:
        "../scripts/assess_real.py"


rule assess:
    input:
        **parameter_files(QUALITY_PARAMETERS),
        **image_sets("train"),
        sound=study_is_sound,
        reference="results/{modality}/{split}/quality/reference.npz",
        classifier=LABEL_CLASSIFIER,
        synthetic="results/{modality}/{split}/synthetic/{gan}/seed{seed}.npz",
    output:
        rows="results/{modality}/{split}/quality/{gan}/seed{seed}.csv",
        images="results/{modality}/{split}/quality/{gan}/seed{seed}_images.csv",
    log:
        "logs/assess/{modality}/{split}/{gan}/seed{seed}.log",
    benchmark:
        "benchmarks/assess/{modality}/{split}/{gan}/seed{seed}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=3000,
        runtime=60,
    params:
        code=code_of("assess"),
        code_of_networks=code_of_networks(EXTRACTORS),
        code_of_classifier=code_of_classifier(CLASSIFIERS[0]),
        extractors={name: NETWORKS[name].title for name in EXTRACTORS},
        parameters=digests_of(QUALITY_PARAMETERS),
        statistics=config["statistics"],
    script:
        "../scripts/assess.py"


rule filter_synthetic:
    input:
        sound=study_is_sound,
        synthetic="results/{modality}/{split}/synthetic/{gan}/seed{seed}.npz",
        judged="results/{modality}/{split}/quality/{gan}/seed{seed}_images.csv",
        real="results/{modality}/{split}/quality/real_images.csv",
    output:
        images="results/{modality}/{split}/filtered/{gan}/seed{seed}.npz",
        fate="results/{modality}/{split}/filtered/{gan}/seed{seed}.csv",
    log:
        "logs/filter_synthetic/{modality}/{split}/{gan}/seed{seed}.log",
    benchmark:
        "benchmarks/filter_synthetic/{modality}/{split}/{gan}/seed{seed}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("filter_synthetic"),
        limits=FILTER,
        on_memorising=config["quality"]["on_memorising"],
        trainings=TRAININGS if config["quality"]["on_memorising"] == "stop" else None,
    script:
        "../scripts/filter_synthetic.py"
