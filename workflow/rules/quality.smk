"""What synthetic ROIs are worth beside real ones.  The training part is looked at, and the validation part as real
ROIs that no generator was trained on; never the test part, but to find it among images that were made elsewhere.

In: results/{modality}/{split}/train.npz, val.npz, synthetic/{gan}/seed{seed}.npz, a classifier of the real training
    part; mammosynth/parameters.yaml, mammosynth/networks/networks.yaml
Out: results/parameters/{name}: parameter files, checked; below results/{modality}/{split}/: quality/{gan}/
     seed{seed}_images.csv and quality/real_images.csv: a line an image; seed{seed}_features.npz; quality/reference.npz:
     what all images of a split are described beside; quality/{gan}/seed{seed}.csv and quality/real.csv: tidy rows;
     quality/{gan}/seed{seed}_leaks.csv: ROIs of the validation and test part nearest to images made elsewhere;
     filtered/{gan}/seed{seed}.npz: the synthetic ROIs that the study's filter lets through, and seed{seed}.csv: what
     became of each.

Two steps: `describe` looks at each image by itself, once, with torch; `assess` compares sets, from that alone.
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


rule describe_real:
    input:
        **parameter_files(QUALITY_PARAMETERS),
        **image_sets("train", "val"),
        sound=study_is_sound,
        classifier=LABEL_CLASSIFIER,
    output:
        images="results/{modality}/{split}/quality/real_images.csv",
        reference="results/{modality}/{split}/quality/reference.npz",
    log:
        "logs/describe_real/{modality}/{split}.log",
    benchmark:
        "benchmarks/describe_real/{modality}/{split}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=3000,
        runtime=60,
    params:
        code=code_of("describe_real"),
        code_of_networks=code_of_networks(EXTRACTORS),
        code_of_classifier=code_of_classifier(CLASSIFIERS[0]),
        code_of_measures=code_of_measures(OfImages),
        extractors=EXTRACTORS,
        parameters=digests_of(QUALITY_PARAMETERS),
        kept=KEPT,
    script:
        "../scripts/describe_real.py"


rule describe:
    input:
        **parameter_files(QUALITY_PARAMETERS),
        **image_sets("train"),
        sound=study_is_sound,
        reference="results/{modality}/{split}/quality/reference.npz",
        classifier=LABEL_CLASSIFIER,
        synthetic="results/{modality}/{split}/synthetic/{gan}/seed{seed}.npz",
    output:
        images="results/{modality}/{split}/quality/{gan}/seed{seed}_images.csv",
        features="results/{modality}/{split}/quality/{gan}/seed{seed}_features.npz",
    log:
        "logs/describe/{modality}/{split}/{gan}/seed{seed}.log",
    benchmark:
        "benchmarks/describe/{modality}/{split}/{gan}/seed{seed}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=3000,
        runtime=60,
    params:
        code=code_of("describe"),
        code_of_networks=code_of_networks(EXTRACTORS),
        code_of_classifier=code_of_classifier(CLASSIFIERS[0]),
        code_of_measures=code_of_measures(OfImages),
        extractors=EXTRACTORS,
        parameters=digests_of(QUALITY_PARAMETERS),
        kept=KEPT,
    script:
        "../scripts/describe.py"


rule find_leaks:
    input:
        unpack(leak_inputs),
        **parameter_files([EXTRACTORS[0]]),
        sound=study_is_sound,
        reference="results/{modality}/{split}/quality/reference.npz",
        synthetic="results/{modality}/{split}/synthetic/{gan}/seed{seed}.npz",
        features="results/{modality}/{split}/quality/{gan}/seed{seed}_features.npz",
    output:
        "results/{modality}/{split}/quality/{gan}/seed{seed}_leaks.csv",
    log:
        "logs/find_leaks/{modality}/{split}/{gan}/seed{seed}.log",
    benchmark:
        "benchmarks/find_leaks/{modality}/{split}/{gan}/seed{seed}.tsv"
    wildcard_constraints:
        gan=one_of(ELSEWHERE),
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=3000,
        runtime=60,
    params:
        code=code_of("find_leaks"),
        code_of_networks=code_of_networks([EXTRACTORS[0]]),
        extractor=EXTRACTORS[0],
        parameters=digests_of([EXTRACTORS[0]]),
        parts=parts_to_leak,
        kept=KEPT,
    script:
        "../scripts/find_leaks.py"


rule assess:
    input:
        **image_sets("train", "val"),
        sound=study_is_sound,
        reference="results/{modality}/{split}/quality/reference.npz",
        real_images="results/{modality}/{split}/quality/real_images.csv",
        synthetic=of_all_gans("synthetic/{gan}/seed{seed}.npz"),
        images=of_all_gans("quality/{gan}/seed{seed}_images.csv"),
        features=of_all_gans("quality/{gan}/seed{seed}_features.npz"),
    output:
        real="results/{modality}/{split}/quality/real.csv",
        rows=of_all_gans("quality/{gan}/seed{seed}.csv"),
    log:
        "logs/assess/{modality}/{split}.log",
    benchmark:
        "benchmarks/assess/{modality}/{split}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: min(len(GANS) * len(SEEDS), 8)
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code_of("assess"),
        code_of_measures=code_of_measures(OfSets, OfFloor, OfPairs, OverHeldOut),
        networks={name: NETWORKS[name].title for name in EXTRACTORS},
        statistics={name: config["statistics"][name] for name in ("resamples", "seed")},
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
        outcomes="results/{modality}/{split}/filtered/{gan}/seed{seed}.csv",
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
