"""Raw databases to one table of lesions a modality; phantoms are made and free databases downloaded here if the config
says so, others are read where they lie.

In: the roots of the selected sources. Out: results/{modality}/lesions.csv, with near-duplicates and conflicts
found, and curation/images.csv, what each image shows.
"""

from mammosynth.fingerprint import fingerprint


rule download_database:
    output:
        # the list of the files that lie in the folder of the same name, which a later run never deletes
        f"{DOWNLOADS}/{{database}}.csv",
    log:
        "logs/download_database/{database}.log",
    benchmark:
        "benchmarks/download_database/{database}.tsv"
    wildcard_constraints:
        database="|".join(READERS),
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=1440,
    params:
        code=code_of("download_database"),
        declaration=lambda wildcards: database_of(wildcards.database).download,
    script:
        "../scripts/download_database.py"


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
        code=code_of("make_phantoms"),
        code_of_layout=lambda wildcards: code.digest(
            code.module(writer_of(config["sources"][wildcards.source]["reader"]))
        ),
        reader=lambda wildcards: config["sources"][wildcards.source]["reader"],
        phantoms=lambda wildcards: config["sources"][wildcards.source]["phantoms"],
    script:
        "../scripts/make_phantoms.py"


rule read_lesions:
    input:
        downloads=lambda wildcards: sorted(
            {
                f"{DOWNLOADS}/{config['sources'][source]['reader']}.csv"
                for source in sources_of(wildcards.modality)
                if "download" in config["sources"][source]
            }
        ),
        phantoms=lambda wildcards: [
            f"results/phantoms/{source}/patients.csv"
            for source in sources_of(wildcards.modality)
            if "phantoms" in config["sources"][source]
        ],
        lists=lambda wildcards: lists_of(wildcards.modality),
    output:
        lesions="results/{modality}/lesions.csv",
        images="results/{modality}/curation/images.csv",
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
        code=code_of("read_lesions"),
        code_of_readers=code_of_readers,
        sources=lambda wildcards: {
            source: settings_of(source) for source in sources_of(wildcards.modality)
        },
        external=lambda wildcards: external_of(wildcards.modality),
        # real databases are no inputs, as their files are theirs to name; so a change below a root is noticed here
        fingerprints=lambda wildcards: {
            source: fingerprint(config["sources"][source]["root"])
            for source in sources_of(wildcards.modality)
            if "root" in config["sources"][source]
        },
        lists=lambda wildcards: contents_of(lists_of(wildcards.modality)),
    script:
        "../scripts/read_lesions.py"
