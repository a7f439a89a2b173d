"""In: the real ROIs of a fold's training part, and of its validation part to choose the step that is kept.
Out: trained generators, their history and pictures, synthetic ROIs.
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
        dose=lambda wildcards: largest_dose(parse_mixes(MIXES), wildcards.gan),
        oversample=FILTER["oversample"],
    script:
        "../scripts/synthesise.py"
