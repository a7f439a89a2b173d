"""Plot one classifier's training, predictions and scores in one modality."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.classifiers.validation import decided
        from mammosynth.imageset import ImageSet
        from mammosynth.report import figures
        from mammosynth.report.figures_of_predictions import plot_confusion, plot_misses, plot_reliability, plot_roc
        from mammosynth.report.figures_of_scores import plot_differences, plot_doses, plot_gains, plot_shares
        from mammosynth.report.figures_of_training import plot_classifier_training, read_histories
        from mammosynth.splits import WHOLE, read_rows

        given, made = snakemake.input, snakemake.output
        modality, classifier = of = snakemake.wildcards.modality, snakemake.wildcards.classifier
        scores = pd.read_csv(given.scores)
        scores = scores[(scores["modality"] == modality) & (scores["classifier"] == classifier)]
        whole = scores[scores["share"] == WHOLE]
        predictions = decided(read_rows(given.predictions, pd.read_csv(given.splits)))
        histories = read_histories(given.histories, "mix")
        quality = pd.read_csv(given.quality)
        quality = quality[(quality["modality"] == modality) & (quality["share"] == WHOLE)]
        test = ImageSet.concatenate(map(ImageSet.load, given.test))
        plots = {
            "classifier_training": lambda: plot_classifier_training(*of, histories),
            "differences": lambda: plot_differences(*of, whole),
            "doses": lambda: plot_doses(*of, whole),
            "shares": lambda: plot_shares(*of, scores),
            "gains": lambda: plot_gains(*of, whole, quality, snakemake.params.extractor),
            "roc": lambda: plot_roc(*of, predictions, whole),
            "reliability": lambda: plot_reliability(*of, predictions, whole),
            "confusion": lambda: plot_confusion(*of, predictions),
            "misses": lambda: plot_misses(*of, predictions, whole, test),
        }
        for kind, paths in made.items():
            figures.save(plots[kind](), *paths)
