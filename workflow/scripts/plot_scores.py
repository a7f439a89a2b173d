"""Plot ROC curves and differences against real ROIs alone, of one modality."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.report import figures
        from mammosynth.splits import WHOLE, read_rows

        given, modality = snakemake.input, snakemake.wildcards.modality
        scores = pd.read_csv(given.scores)
        scores = scores[(scores["modality"] == modality) & (scores["share"] == WHOLE)]
        predictions = read_rows(given.predictions, pd.read_csv(given.splits))
        figures.save(figures.plot_differences(modality, scores), snakemake.output.differences)
        figures.save(figures.plot_roc(modality, predictions, scores), snakemake.output.roc)
