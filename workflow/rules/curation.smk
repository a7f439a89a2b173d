"""What curation did, for people: counts, pictures, who is in which part, and the terms of the data.

In: results/{modality}/rois.csv, curation/images.csv, curation/alike.csv and {split}/partition.csv.
Out: results/{modality}/curation/: flow.csv and flow.svg, characteristics.csv, near_duplicates.png, conflicts.png,
     alike.png and data_card.html.
"""


rule summarise_curation:
    input:
        images="results/{modality}/curation/images.csv",
        rois="results/{modality}/rois.csv",
        alike="results/{modality}/curation/alike.csv",
        partitions=expand("results/{{modality}}/{split}/partition.csv", split=WHOLE),
    output:
        flow="results/{modality}/curation/flow.csv",
        figure=report(
            "results/{modality}/curation/flow.svg",
            caption="../report/flow.rst",
            category="Data",
            labels={"modality": "{modality}", "figure": "from images to ROIs"},
        ),
        pdf="results/{modality}/curation/flow.pdf",
        characteristics=report(
            "results/{modality}/curation/characteristics.csv",
            caption="../report/characteristics.rst",
            category="Data",
            labels={"modality": "{modality}", "figure": "characteristics of each part"},
        ),
        near_duplicates=report(
            "results/{modality}/curation/near_duplicates.png",
            caption="../report/near_duplicates.rst",
            category="Data",
            labels={"modality": "{modality}", "figure": "near-duplicates"},
        ),
        conflicts=report(
            "results/{modality}/curation/conflicts.png",
            caption="../report/near_duplicates.rst",
            category="Data",
            labels={"modality": "{modality}", "figure": "label conflicts"},
        ),
        alike=report(
            "results/{modality}/curation/alike.png",
            caption="../report/alike.rst",
            category="Data",
            labels={"modality": "{modality}", "figure": "ROIs that look alike"},
        ),
    log:
        "logs/summarise_curation/{modality}.log",
    benchmark:
        "benchmarks/summarise_curation/{modality}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code_of("summarise_curation"),
        rois=config["rois"],
        phantoms=lambda wildcards: [
            source
            for source in sources_of(wildcards.modality)
            if "phantoms" in config["sources"][source]
        ],
    script:
        "../scripts/summarise_curation.py"


rule write_datacard:
    input:
        images="results/{modality}/curation/images.csv",
        rois="results/{modality}/rois.csv",
        alike="results/{modality}/curation/alike.csv",
        figure="results/{modality}/curation/flow.svg",
        characteristics="results/{modality}/curation/characteristics.csv",
    output:
        report(
            "results/{modality}/curation/data_card.html",
            caption="../report/datacard.rst",
            category="Data",
            labels={"modality": "{modality}", "figure": "data card"},
        ),
    log:
        "logs/write_datacard/{modality}.log",
    benchmark:
        "benchmarks/write_datacard/{modality}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("write_datacard"),
        captions=captions_of("characteristics"),
        code_of_readers=code_of_readers,
        config={
            key: config[key] for key in ("sources", "databases", "external", "rois", "partition")
        },
        split=WHOLE[0],
    script:
        "../scripts/write_datacard.py"
