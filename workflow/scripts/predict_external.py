"""Predict the external test databases with one classifier."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.classifiers.prediction import predict
        from mammosynth.classifiers.training import read
        from mammosynth.gpu import device
        from mammosynth.imageset import ImageSet
        from mammosynth.partition import EXTERNAL

        given = snakemake.input
        where = {name: snakemake.wildcards[name] for name in ("modality", "split", "classifier", "mix", "seed")}
        parts = {EXTERNAL: ImageSet.load(given.external)}
        partition = pd.read_csv(given.partition, dtype=str)
        databases = dict(zip(partition["lesion_id"], partition["database"]))
        classifier = read(given.model, device(), dict(given.items()), snakemake.params.kept)
        predictions = predict(classifier, parts, databases, where)
        predictions.to_csv(snakemake.output.predictions, index=False)
