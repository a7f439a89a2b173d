"""Write the study's report."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.findings.names import name_of
        from mammosynth.findings.verdicts import leaks, verdicts
        from mammosynth.report import page, printed
        from mammosynth.splits import WHOLE, place_of, read_rows

        given, modalities, gans = snakemake.input, snakemake.params.modalities, snakemake.params.gans
        figures = {kind: {"": given[kind]} for kind in ("summary_samples", "summary_forest")}
        for kind in ("flow", "contact_sheet", "samples", "embedding", "gan_training"):
            figures[kind] = dict(zip(modalities, given[kind]))
        for kind, file in snakemake.params.of_classifiers.items():
            figures[kind] = {
                modality: {
                    name_of(classifier): file.format(modality=modality, classifier=classifier)
                    for classifier in snakemake.params.classifiers
                }
                for modality in modalities
            }
        figures["quality"] = dict(zip(modalities, given["quality_bars"]))
        places = [(file, place_of(file)) for file in given.progress]
        figures["progress"] = {
            modality: {name_of(place["name"]): file for file, place in places if place["modality"] == modality}
            for modality in modalities
        }
        figures["ranks"] = dict(zip(modalities, given.rank_figures))
        figures["closest"] = {
            modality: {name_of(gan): f"results/figures/closest_{modality}_{gan}.png" for gan in gans}
            for modality in modalities
        }
        splits = pd.read_csv(given.splits)
        images, real_images = (read_rows(given[name], splits) for name in ("images", "real_images"))
        scores, quality, comparisons = (pd.read_csv(given[name]) for name in ("scores", "quality", "comparisons"))
        study = page.Study(
            config=snakemake.params.config,
            parts=pd.read_csv(given.parts),
            rois=pd.concat(pd.read_csv(file, dtype=str) for file in given.rois),
            characteristics={
                modality: pd.read_csv(file, dtype=str, keep_default_na=False)
                for modality, file in zip(modalities, given.characteristics)
            },
            scores=scores[scores["share"] == WHOLE],
            quality=quality[quality["share"] == WHOLE],
            paper_quality=pd.read_csv(given.paper_quality, dtype=str),
            paper_accuracy=pd.read_csv(given.paper_accuracy, dtype=str),
            accuracy=pd.read_csv(given.table_accuracy, dtype=str),
            decisions=pd.read_csv(given.table_decisions, dtype=str),
            comparisons=comparisons[comparisons["share"] == WHOLE],
            quality_table=pd.read_csv(given.table_quality, dtype=str),
            ranks=pd.read_csv(given.ranks),
            correlations=pd.read_csv(given.correlations),
            verdicts=verdicts(images, real_images),
            paper=pd.read_csv(given.paper),
            devices=sorted({pd.read_csv(file)["device"].iloc[0] for file in given.histories}),
            times=page.rule_times(snakemake.params.benchmarks),
            figures=figures,
            captions=snakemake.params.captions,
            leaks=leaks(read_rows(given.leaks, splits)) if given.leaks else {},
            filtered=pd.concat(map(pd.read_csv, given.filtered)) if given.filtered else None,
        )
        page.write(study, snakemake.output.page)
        printed.write(study, snakemake.output.pdf)
