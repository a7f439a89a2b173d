"""Tables, figures and the report.

In: scores, predictions, quality rows, histories and image sets of the whole study.
Out: results/tables/, results/figures/, results/{modality}/scorecards/, results/report/report.html
"""

# The first split and seed stand for all where images are shown.
SHOWN = WHOLE[0], f"seed{SEEDS[0]}"
SPLIT_TABLE = "results/tables/splits.csv"
# What says how GANs, classifiers and databases are named, and which are phantoms.
OF_NAMES = {
    key: config[key]
    for key in (
        "sources",
        "databases",
        "external",
        "gans",
        "generators",
        "classify_with",
        "classifiers",
    )
}
# Figures of a modality and classifier, each with its category and title; those that the study has something for.
OF_CLASSIFIERS = {
    "classifier_training": ("Training", "training of the classifier"),
    "differences": ("Figures", "does it help"),
    "roc": ("Figures", "ROC curves"),
    "reliability": ("Figures", "reliability of probabilities"),
    "confusion": ("Figures", "calls by true class"),
    "misses": ("Figures", "worst misses"),
}
if any(map(added_dose, map(parse_mix, MIXES))):
    OF_CLASSIFIERS["gains"] = "Figures", "does quality tell what helps"
if gans_with_doses(map(parse_mix, MIXES)):
    OF_CLASSIFIERS["doses"] = "Figures", "at which dose"
if len(config["shares"]) > 1:
    OF_CLASSIFIERS["shares"] = "Figures", "with few training patients"
FILES_OF_CLASSIFIERS = {
    kind: f"results/figures/{kind}_{{modality}}_{{classifier}}.{'png' if kind == 'misses' else 'svg'}"
    for kind in OF_CLASSIFIERS
}


rule tabulate:
    input:
        quality=expand(
            "results/{modality}/{split}/quality/{gan}/seed{seed}.csv",
            modality=MODALITIES,
            split=SPLITS,
            gan=GANS,
            seed=SEEDS,
        ),
        real=expand(
            "results/{modality}/{split}/quality/real.csv", modality=MODALITIES, split=SPLITS
        ),
        scores="results/tables/scores.csv",
        splits=SPLIT_TABLE,
    output:
        quality="results/tables/quality.csv",
        table_quality=report(
            "results/tables/table_quality.csv",
            caption="../report/table_quality.rst",
            category="Tables",
            labels={"table": "quality of synthetic ROIs"},
        ),
        table_accuracy=report(
            "results/tables/table_accuracy.csv",
            caption="../report/table_accuracy.rst",
            category="Tables",
            labels={"table": "accuracy of classifiers"},
        ),
        table_decisions=report(
            "results/tables/table_decisions.csv",
            caption="../report/table_decisions.rst",
            category="Tables",
            labels={"table": "decisions and probabilities of classifiers"},
        ),
        latex_quality="results/tables/table_quality.tex",
        latex_accuracy="results/tables/table_accuracy.tex",
        latex_decisions="results/tables/table_decisions.tex",
    log:
        "logs/tabulate.log",
    benchmark:
        "benchmarks/tabulate.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("tabulate"),
        captions=captions_of("table_quality", "table_accuracy", "table_decisions"),
    script:
        "../scripts/tabulate.py"


rule paper_tables:
    input:
        quality="results/tables/quality.csv",
        scores="results/tables/scores.csv",
        paper=f"{workflow.basedir}/resources/paper.csv",
    output:
        quality=report(
            "results/tables/paper_quality.csv",
            caption="../report/paper_quality.rst",
            category="Tables",
            labels={"table": "the paper's measures of synthetic ROIs"},
        ),
        accuracy=report(
            "results/tables/paper_accuracy.csv",
            caption="../report/paper_accuracy.rst",
            category="Tables",
            labels={"table": "the paper's accuracies"},
        ),
        latex_quality="results/tables/paper_quality.tex",
        latex_accuracy="results/tables/paper_accuracy.tex",
        page="results/tables/paper_tables.html",
    log:
        "logs/paper_tables.log",
    benchmark:
        "benchmarks/paper_tables.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("paper_tables"),
        captions=captions_of("paper_quality", "paper_accuracy"),
        config=OF_NAMES,
    script:
        "../scripts/paper_tables.py"


rule plot_samples:
    input:
        **image_sets("train", split=WHOLE[0]),
        synthetic=[
            f"results/{{modality}}/{SHOWN[0]}/synthetic/{gan}/{SHOWN[1]}.npz" for gan in GANS
        ],
        features=[
            f"results/{{modality}}/{SHOWN[0]}/quality/{gan}/{SHOWN[1]}_features.npz"
            for gan in GANS
        ],
        reference=f"results/{{modality}}/{SHOWN[0]}/quality/reference.npz",
    output:
        samples=report(
            "results/figures/samples_{modality}.png",
            caption="../report/samples.rst",
            category="Figures",
            subcategory="{modality}",
            labels={"figure": "real and synthetic ROIs"},
        ),
        embedding=[
            report(
                "results/figures/embedding_{modality}.svg",
                caption="../report/embedding.rst",
                category="Figures",
                subcategory="{modality}",
                labels={"figure": "real and synthetic ROIs, embedded"},
            ),
            "results/figures/embedding_{modality}.pdf",
        ],
    log:
        "logs/plot_samples/{modality}.log",
    benchmark:
        "benchmarks/plot_samples/{modality}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("plot_samples"),
        extractor=EXTRACTORS[0],
        gans=GANS,
        databases=lambda wildcards: databases_of(wildcards.modality),
        phantoms=lambda wildcards: [
            source
            for source in databases_of(wildcards.modality)
            if "phantoms" in config["sources"][source]
        ],
    script:
        "../scripts/plot_samples.py"


rule plot_summary:
    input:
        quality="results/tables/quality.csv",
        scores="results/tables/scores.csv",
        # of the nearest GAN some are shown, and which it is the quality says
        real=ancient(
            expand("results/{modality}/{split}/train.npz", modality=MODALITIES, split=SHOWN[0])
        ),
        digests=expand(
            "results/{modality}/{split}/parts.sha256", modality=MODALITIES, split=SHOWN[0]
        ),
        synthetic=expand(
            "results/{modality}/{split}/synthetic/{gan}/{seed}.npz",
            modality=MODALITIES,
            split=SHOWN[0],
            gan=GANS,
            seed=SHOWN[1],
        ),
    output:
        samples=report(
            "results/figures/summary_samples.png",
            caption="../report/summary_samples.rst",
            category="Summary",
            labels={"figure": "real ROIs and the nearest GAN's"},
        ),
        forest=[
            report(
                "results/figures/summary_forest.svg",
                caption="../report/summary_forest.rst",
                category="Summary",
                labels={"figure": "do synthetic ROIs help"},
            ),
            "results/figures/summary_forest.pdf",
        ],
    log:
        "logs/plot_summary.log",
    benchmark:
        "benchmarks/plot_summary.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("plot_summary"),
        modalities=MODALITIES,
        config=OF_NAMES,
    script:
        "../scripts/plot_summary.py"


rule plot_gan_training:
    input:
        expand(
            "results/{{modality}}/{split}/gans/{gan}/seed{seed}.csv",
            split=WHOLE,
            gan=TRAINED,
            seed=SEEDS,
        ),
    output:
        report(
            "results/figures/gan_training_{modality}.svg",
            caption="../report/gan_training.rst",
            category="Training",
            subcategory="{modality}",
            labels={"figure": "training of the GANs"},
        ),
        "results/figures/gan_training_{modality}.pdf",
    log:
        "logs/plot_gan_training/{modality}.log",
    benchmark:
        "benchmarks/plot_gan_training/{modality}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("plot_gan_training"),
        extractor=EXTRACTORS[0],
    script:
        "../scripts/plot_gan_training.py"


rule plot_quality:
    input:
        "results/tables/quality.csv",
    output:
        report(
            "results/figures/quality_{modality}.svg",
            caption="../report/quality.rst",
            category="Figures",
            subcategory="{modality}",
            labels={"figure": "quality of synthetic ROIs"},
        ),
        "results/figures/quality_{modality}.pdf",
    log:
        "logs/plot_quality/{modality}.log",
    benchmark:
        "benchmarks/plot_quality/{modality}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("plot_quality"),
    script:
        "../scripts/plot_quality.py"


rule plot_classifier:
    input:
        scores="results/tables/scores.csv",
        predictions=expand(
            "results/{{modality}}/{split}/predictions/{{classifier}}/{mix}/seed{seed}.csv",
            split=WHOLE,
            mix=MIXES,
            seed=SEEDS,
        ),
        histories=expand(
            "results/{{modality}}/{split}/classifiers/{{classifier}}/{mix}/seed{seed}.csv",
            split=WHOLE,
            mix=MIXES,
            seed=SEEDS,
        ),
        splits=SPLIT_TABLE,
        quality="results/tables/quality.csv",
        # whose misses are shown
        test=ancient(expand("results/{{modality}}/{split}/test.npz", split=WHOLE)),
        digests=expand("results/{{modality}}/{split}/parts.sha256", split=WHOLE),
    output:
        **{
            kind: [
                report(
                    FILES_OF_CLASSIFIERS[kind],
                    caption=f"../report/{kind}.rst",
                    category=category,
                    subcategory="{modality}",
                    labels={"figure": title, "classifier": "{classifier}"},
                ),
                *pdf_of(FILES_OF_CLASSIFIERS[kind]),
            ]
            for kind, (category, title) in OF_CLASSIFIERS.items()
        },
    log:
        "logs/plot_classifier/{modality}/{classifier}.log",
    benchmark:
        "benchmarks/plot_classifier/{modality}/{classifier}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("plot_classifier"),
        extractor=EXTRACTORS[0],
    script:
        "../scripts/plot_classifier.py"


rule rank_generators:
    input:
        quality="results/tables/quality.csv",
    output:
        ranks=report(
            "results/tables/ranks.csv",
            caption="../report/ranks.rst",
            category="Tables",
            labels={"table": "ranks of the generators"},
        ),
        correlations="results/tables/rank_correlations.csv",
        figures=[
            report(
                f"results/figures/ranks_{modality}.svg",
                caption="../report/ranks.rst",
                category="Figures",
                subcategory=modality,
                labels={"figure": "ranks of the generators"},
            )
            for modality in MODALITIES
        ],
        pdfs=[f"results/figures/ranks_{modality}.pdf" for modality in MODALITIES],
    log:
        "logs/rank_generators.log",
    benchmark:
        "benchmarks/rank_generators.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("rank_generators"),
        modalities=MODALITIES,
        seen=study.trained_against(config),
    script:
        "../scripts/rank_generators.py"


rule write_scorecards:
    input:
        **image_sets("train", "val", split=WHOLE[0]),
        quality="results/tables/quality.csv",
        splits=SPLIT_TABLE,
        generators=expand(
            "results/{{modality}}/{split}/gans/{gan}/seed{seed}.pt",
            gan=TRAINED,
            split=WHOLE,
            seed=SEEDS,
        ),
        histories=expand(
            "results/{{modality}}/{split}/gans/{gan}/seed{seed}.csv",
            gan=TRAINED,
            split=WHOLE,
            seed=SEEDS,
        ),
        collected=expand("results/{{modality}}/images/{gan}.npz", gan=ELSEWHERE),
        drawn=expand(
            "results/{{modality}}/{split}/synthetic/{gan}/seed{seed}.npz",
            gan=ELSEWHERE,
            split=WHOLE,
            seed=SEEDS,
        ),
        leaks=expand(
            "results/{{modality}}/{split}/quality/{gan}/seed{seed}_leaks.csv",
            gan=ELSEWHERE,
            split=WHOLE,
            seed=SEEDS,
        ),
        partitions=expand("results/{{modality}}/{split}/partition.csv", split=WHOLE),
        images=expand(
            "results/{{modality}}/{split}/quality/{gan}/seed{seed}_images.csv",
            gan=GANS,
            split=WHOLE,
            seed=SEEDS,
        ),
        real_images=expand("results/{{modality}}/{split}/quality/real_images.csv", split=WHOLE),
        # of the fold and seed whose images are shown
        synthetic=[
            f"results/{{modality}}/{SHOWN[0]}/synthetic/{gan}/{SHOWN[1]}.npz" for gan in GANS
        ],
        reference=f"results/{{modality}}/{SHOWN[0]}/quality/reference.npz",
    output:
        pages=[
            report(
                f"results/{{modality}}/scorecards/{gan}.html",
                caption="../report/scorecard.rst",
                category="Scorecards",
                subcategory="{modality}",
                labels={"GAN": gan},
            )
            for gan in GANS
        ],
        data=expand("results/{{modality}}/scorecards/{gan}.json", gan=GANS),
        closest=[
            report(
                f"results/figures/closest_{{modality}}_{gan}.png",
                caption="../report/closest.rst",
                category="Figures",
                subcategory="{modality}",
                labels={"figure": "pairs closest to a training ROI", "GAN": gan},
            )
            for gan in GANS
        ],
    log:
        "logs/write_scorecards/{modality}.log",
    benchmark:
        "benchmarks/write_scorecards/{modality}.tsv"
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code_of("write_scorecards"),
        captions=captions_of("closest"),
        config={
            key: config[key] for key in ("sources", "databases", "rois", "partition", "generators")
        },
        presets=PRESETS,
        shown=(WHOLE[0], SEEDS[0]),
        extractor=EXTRACTORS[0],
        gans=GANS,
        trainings=TRAININGS,
        draws=DRAWS,
    script:
        "../scripts/write_scorecards.py"


rule write_report:
    input:
        rois=expand("results/{modality}/rois.csv", modality=MODALITIES),
        characteristics=expand(
            "results/{modality}/curation/characteristics.csv", modality=MODALITIES
        ),
        flow=expand("results/{modality}/curation/flow.svg", modality=MODALITIES),
        parts="results/tables/parts.csv",
        splits=SPLIT_TABLE,
        histories=expand(
            "results/{modality}/{split}/classifiers/{classifier}/{mix}/seed{seed}.csv",
            modality=MODALITIES,
            split=WHOLE,
            classifier=CLASSIFIERS,
            mix=MIXES,
            seed=SEEDS,
        ),
        scores="results/tables/scores.csv",
        quality="results/tables/quality.csv",
        paper_quality="results/tables/paper_quality.csv",
        paper_accuracy="results/tables/paper_accuracy.csv",
        table_quality="results/tables/table_quality.csv",
        table_accuracy="results/tables/table_accuracy.csv",
        table_decisions="results/tables/table_decisions.csv",
        comparisons="results/tables/comparisons.csv",
        ranks="results/tables/ranks.csv",
        correlations="results/tables/rank_correlations.csv",
        images=expand(
            "results/{modality}/{split}/quality/{gan}/seed{seed}_images.csv",
            modality=MODALITIES,
            gan=GANS,
            split=WHOLE,
            seed=SEEDS,
        ),
        real_images=expand(
            "results/{modality}/{split}/quality/real_images.csv",
            modality=MODALITIES,
            split=WHOLE,
        ),
        leaks=expand(
            "results/{modality}/{split}/quality/{gan}/seed{seed}_leaks.csv",
            modality=MODALITIES,
            gan=ELSEWHERE,
            split=WHOLE,
            seed=SEEDS,
        ),
        rank_figures=expand("results/figures/ranks_{modality}.svg", modality=MODALITIES),
        closest=expand(
            "results/figures/closest_{modality}_{gan}.png", modality=MODALITIES, gan=GANS
        ),
        paper=f"{workflow.basedir}/resources/paper.csv",
        summary_samples="results/figures/summary_samples.png",
        summary_forest="results/figures/summary_forest.svg",
        contact_sheet=expand("results/{modality}/contact_sheet.png", modality=MODALITIES),
        progress=expand(
            "results/{modality}/{split}/gans/{gan}/{seed}.png",
            modality=MODALITIES,
            split=SHOWN[0],
            gan=TRAINED,
            seed=SHOWN[1],
        ),
        samples=expand("results/figures/samples_{modality}.png", modality=MODALITIES),
        embedding=expand("results/figures/embedding_{modality}.svg", modality=MODALITIES),
        gan_training=expand(
            "results/figures/gan_training_{modality}.svg",
            modality=MODALITIES if TRAINED else [],
        ),
        quality_bars=expand("results/figures/quality_{modality}.svg", modality=MODALITIES),
        of_classifiers=expand(
            list(FILES_OF_CLASSIFIERS.values()),
            modality=MODALITIES,
            classifier=CLASSIFIERS,
        ),
        filtered=(
            expand(
                "results/{modality}/{split}/filtered/{gan}/seed{seed}.csv",
                modality=MODALITIES,
                split=WHOLE,
                gan=GANS,
                seed=SEEDS,
            )
            if FILTERED
            else []
        ),
    output:
        page="results/report/report.html",
        pdf="results/report/report.pdf",
    log:
        "logs/write_report.log",
    conda:
        "../../envs/mammosynth.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("write_report"),
        captions=captions_of(
            "summary_samples",
            "summary_forest",
            "paper_quality",
            "paper_accuracy",
            "flow",
            "characteristics",
            "contact_sheet",
            "samples",
            "embedding",
            "quality",
            "ranks",
            "closest",
            *OF_CLASSIFIERS,
            "gan_training",
            "progress",
            "table_quality",
            "table_accuracy",
            "table_decisions",
            "comparisons",
        ),
        config=config,
        modalities=MODALITIES,
        gans=GANS,
        classifiers=CLASSIFIERS,
        of_classifiers=FILES_OF_CLASSIFIERS,
        # Not inputs: Snakemake writes them as it goes, and a run without them is whole. Of this study's jobs alone,
        # as the folder may hold those of earlier ones.
        benchmarks={
            stage: {
                rule.name: expand(
                    getattr(rules, rule.name).benchmark,
                    source=config["databases"] + config["external"],
                    database=READERS,
                    name=STUDY_PARAMETERS,
                    modality=MODALITIES,
                    split=SPLITS,
                    gan=GANS,
                    classifier=CLASSIFIERS,
                    mix=MIXES,
                    seed=SEEDS,
                )
                for rule in workflow.rules
                if rule.benchmark and Path(rule.snakefile).stem == stage
            }
            for stage in dict.fromkeys(Path(rule.snakefile).stem for rule in workflow.rules)
        },
    script:
        "../scripts/write_report.py"
