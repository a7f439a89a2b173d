"""Score the predictions of all modalities and folds."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.classifiers.scores import read_predictions, score

        predictions = pd.concat(
            read_predictions(path, modality, fold)
            for path, (modality, fold) in zip(snakemake.input.predictions, snakemake.params.study)
        )
        score(predictions, **snakemake.params.statistics).to_csv(snakemake.output.scores, index=False)
