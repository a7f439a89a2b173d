"""In: the real ROIs of a fold's training part, and of its validation part to choose the step that is kept; images that
were made elsewhere and stand in a GAN's place.
Out: trained generators, their history and pictures, synthetic ROIs; results/{modality}/images/{gan}.npz, all images of
one that were made elsewhere, with its digest.
"""


rule train_gan:
    input:
        unpack(training_inputs),
        sound=study_is_sound,
    output:
        generator="results/{modality}/{split}/gans/{gan}/seed{seed}.pt",
        history="results/{modality}/{split}/gans/{gan}/seed{seed}.csv",
        progress=report(
            "results/{modality}/{split}/gans/{gan}/seed{seed}.png",
            caption="../report/progress.rst",
            category="Training",
            subcategory="{modality}",
            labels={"GAN": "{gan}", "split": "{split}", "seed": "{seed}"},
        ),
    log:
        "logs/train_gan/{modality}/{split}/{gan}/seed{seed}.log",
    benchmark:
        "benchmarks/train_gan/{modality}/{split}/{gan}/seed{seed}.tsv"
    wildcard_constraints:
        gan=one_of(TRAINED),
    # The longest jobs first: classifiers of real ROIs fill the cores beside the last of them.
    priority: 10
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=8000,
        runtime=1440,
    params:
        code=code_of("train_gan"),
        code_of_gan=code_of_gan,
        settings=lookup("generators/{gan}", within=config),
        extractor=EXTRACTORS[0],
        networks=lambda wildcards: digests_of(networks_of(wildcards.gan)),
        code_of_networks=lambda wildcards: code_of_networks(networks_of(wildcards.gan)),
        start_from=lambda wildcards: contents_of(given_start_of(wildcards)),
        # Not an output: Snakemake would delete it before the rerun that is to resume from it.
        checkpoint="checkpoints/{modality}/{split}/gans/{gan}/seed{seed}.pt",
        tensorboard="logs/tensorboard/{modality}/{split}/{gan}/seed{seed}",
    script:
        "../scripts/train_gan.py"


rule synthesise:
    input:
        **image_sets("train"),
        sound=study_is_sound,
        generator="results/{modality}/{split}/gans/{gan}/seed{seed}.pt",
    output:
        images="results/{modality}/{split}/synthetic/{gan}/seed{seed}.npz",
    log:
        "logs/synthesise/{modality}/{split}/{gan}/seed{seed}.log",
    benchmark:
        "benchmarks/synthesise/{modality}/{split}/{gan}/seed{seed}.tsv"
    wildcard_constraints:
        gan=one_of(TRAINED),
    priority: 10
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=4000,
        runtime=60,
    params:
        code=code_of("synthesise"),
        code_of_gan=code_of_gan,
        dose=lambda wildcards: dose_of(wildcards.gan),
        oversample=FILTER["oversample"],
    script:
        "../scripts/synthesise.py"


rule collect_images:
    output:
        images="results/{modality}/images/{gan}.npz",
        digest="results/{modality}/images/{gan}.sha256",
    log:
        "logs/collect_images/{modality}/{gan}.log",
    benchmark:
        "benchmarks/collect_images/{modality}/{gan}.tsv"
    wildcard_constraints:
        gan=one_of(ELSEWHERE),
    conda:
        "../../envs/mammosynth.yaml"
    threads: 4
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        code=code_of("collect_images"),
        settings=lookup("generators/{gan}", within=config),
        rois={key: config["rois"][key] for key in ("size", "min_side", "max_padded")},
        # the files are no inputs, as a pattern finds them; so a change below their root is noticed here
        fingerprint=lambda wildcards: fingerprint(
            settings_at(config["generators"][wildcards.gan], wildcards.modality)["root"]
        ),
    script:
        "../scripts/collect_images.py"


rule draw_images:
    input:
        **image_sets("train"),
        sound=study_is_sound,
        images=ancient("results/{modality}/images/{gan}.npz"),
        digest="results/{modality}/images/{gan}.sha256",
    output:
        images="results/{modality}/{split}/synthetic/{gan}/seed{seed}.npz",
    log:
        "logs/draw_images/{modality}/{split}/{gan}/seed{seed}.log",
    benchmark:
        "benchmarks/draw_images/{modality}/{split}/{gan}/seed{seed}.tsv"
    wildcard_constraints:
        gan=one_of(ELSEWHERE),
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        code=code_of("draw_images"),
        dose=lambda wildcards: dose_of(wildcards.gan),
        oversample=FILTER["oversample"],
    script:
        "../scripts/draw_images.py"
