"""Predict the external test databases with all classifiers of a fold, at the thresholds of its validation part."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.classifiers.prediction import predict_all
        from mammosynth.gpu import device
        from mammosynth.imageset import ImageSet
        from mammosynth.partition import EXTERNAL

        given, wildcards = snakemake.input, snakemake.wildcards
        parts = {"val": ImageSet.load(given.val), EXTERNAL: ImageSet.load(given.external)}
        partition = pd.read_csv(given.partition, dtype=str)
        databases = dict(zip(partition["lesion_id"], partition["database"]))
        predictions = predict_all(given.models, parts, databases, device())
        predictions = predictions[predictions["part"] == EXTERNAL]
        predictions.insert(0, "modality", wildcards.modality)
        predictions.insert(1, "split", wildcards.split)
        predictions.to_csv(snakemake.output.predictions, index=False)
