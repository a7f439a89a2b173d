"""Score the predictions of all modalities and splits."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.classifiers.scores import score
        from mammosynth.splits import read_rows

        given = snakemake.input
        predictions = read_rows([*given.predictions, *given.external], pd.read_csv(given.splits))
        score(predictions, **snakemake.params.statistics).to_csv(snakemake.output.scores, index=False)
