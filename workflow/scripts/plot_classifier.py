"""Plot one classifier's training, ROC curves and differences against real ROIs alone, in one modality."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.report import figures
        from mammosynth.report.figures_of_predictions import plot_roc
        from mammosynth.report.figures_of_scores import plot_differences
        from mammosynth.report.figures_of_training import plot_classifier_training, read_histories
        from mammosynth.splits import WHOLE, read_rows

        given, made = snakemake.input, snakemake.output
        modality, classifier = of = snakemake.wildcards.modality, snakemake.wildcards.classifier
        scores = pd.read_csv(given.scores)
        scores = scores[(scores["modality"] == modality) & (scores["classifier"] == classifier)]
        scores = scores[scores["share"] == WHOLE]
        predictions = read_rows(given.predictions, pd.read_csv(given.splits))
        histories = read_histories(given.histories, "mix")
        figures.save(plot_classifier_training(*of, histories), made.training)
        figures.save(plot_differences(*of, scores), made.differences)
        figures.save(plot_roc(*of, predictions, scores), made.roc)
