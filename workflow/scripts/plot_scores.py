"""Plot ROC curves and differences against real ROIs alone, of one modality."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.classifiers.scores import read_predictions
        from mammosynth.report import figures

        modality = snakemake.wildcards.modality
        scores = pd.read_csv(snakemake.input.scores)
        scores = scores[scores["modality"] == modality]
        folds = zip(snakemake.input.predictions, snakemake.params.folds)
        predictions = pd.concat(read_predictions(file, modality, fold) for file, fold in folds)
        figures.save(figures.plot_differences(modality, scores), snakemake.output.differences)
        figures.save(figures.plot_roc(modality, predictions, scores), snakemake.output.roc)
