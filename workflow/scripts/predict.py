"""Predict the validation and test parts of a fold with all its classifiers."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.classifiers.prediction import predict_all
        from mammosynth.gpu import device
        from mammosynth.imageset import ImageSet

        parts = {"val": ImageSet.load(snakemake.input.val), "test": ImageSet.load(snakemake.input.test)}
        partition = pd.read_csv(snakemake.input.partition, dtype=str)
        databases = dict(zip(partition["lesion_id"], partition["database"]))
        predictions = predict_all(snakemake.input.models, parts, databases, device())
        wildcards = snakemake.wildcards
        predictions.insert(0, "modality", wildcards.modality)
        predictions.insert(1, "split", wildcards.split)
        predictions.to_csv(snakemake.output.predictions, index=False)
