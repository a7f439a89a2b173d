"""Plot the report's first screen: real ROIs beside those of the nearest GAN, and what mixes with GANs' ROIs gain."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.findings.conclusions import by_nearness, phantoms_of
        from mammosynth.findings.screens import screens_of
        from mammosynth.imageset import ImageSet
        from mammosynth.report import figures
        from mammosynth.report.figures_of_gans import plot_summary_samples
        from mammosynth.report.figures_of_scores import plot_summary_forest
        from mammosynth.splits import WHOLE, place_of

        given, made, config = snakemake.input, snakemake.output, snakemake.params.config
        quality, scores = (pd.read_csv(given[name]) for name in ("quality", "scores"))
        sets = {}
        places = [(file, place_of(file)) for file in given.synthetic]
        for modality, real in zip(snakemake.params.modalities, given.real):
            order = by_nearness(modality, quality[quality["share"] == WHOLE], config)
            gan = order.index[0] if len(order) else config["gans"][0]
            [synthetic] = [file for file, of in places if (of["modality"], of["name"]) == (modality, gan)]
            files = {"real": real, gan: synthetic}
            sets[modality] = {name: ImageSet.load(file) for name, file in files.items()}
        figures.save(plot_summary_samples(sets, [of for of in sets if phantoms_of(config, of)]), made.samples)
        screens = screens_of(config)
        classifier = min(config["classify_with"], key=lambda name: name in screens)  # the first that is trained
        chosen = (scores["share"] == WHOLE) & (scores["classifier"] == classifier)
        figures.save(plot_summary_forest(classifier, scores[chosen]), *made.forest)
