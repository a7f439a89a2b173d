"""Raw databases to one table of lesions a modality; phantoms are made here, real databases are read where they lie.

In: the roots of the selected sources. Out: results/{modality}/lesions.csv, with near-duplicates and conflicts found.
"""


rule make_phantoms:
    output:
        "results/phantoms/{source}/patients.csv",
    log:
        "logs/make_phantoms/{source}.log",
    benchmark:
        "benchmarks/make_phantoms/{source}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        reader=lambda wildcards: config["sources"][wildcards.source]["reader"],
        phantoms=lambda wildcards: config["sources"][wildcards.source]["phantoms"],
    script:
        "../scripts/make_phantoms.py"


rule read_lesions:
    input:
        phantoms=lambda wildcards: [
            f"results/phantoms/{source}/patients.csv"
            for source in sources_of(wildcards.modality)
            if "phantoms" in config["sources"][source]
        ],
        exclusions=lambda wildcards: [
            os.path.expandvars(config["sources"][source]["exclusions"])
            for source in sources_of(wildcards.modality)
            if "exclusions" in config["sources"][source]
        ],
    output:
        "results/{modality}/lesions.csv",
    log:
        "logs/read_lesions/{modality}.log",
    benchmark:
        "benchmarks/read_lesions/{modality}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        sources=lambda wildcards: {
            source: config["sources"][source] for source in sources_of(wildcards.modality)
        },
    script:
        "../scripts/read_lesions.py"
