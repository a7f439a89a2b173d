"""Score the predictions of all modalities and splits."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.classifiers.paired import compare
        from mammosynth.classifiers.scores import score
        from mammosynth.splits import read_rows

        given, made = snakemake.input, snakemake.output
        predictions = read_rows([*given.predictions, *given.external], pd.read_csv(given.splits))
        score(predictions, **snakemake.params.statistics).to_csv(made.scores, index=False)
        compare(predictions).to_csv(made.comparisons, index=False)
