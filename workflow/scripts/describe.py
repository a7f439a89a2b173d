"""Describe each of one GAN's synthetic ROIs."""

if __name__ == "__main__":
    from mammosynth.job import started

    with started(snakemake):
        import numpy as np

        from mammosynth.classifiers.training import read
        from mammosynth.gpu import device
        from mammosynth.imageset import ImageSet
        from mammosynth.quality.describe import Describer
        from mammosynth.quality.reference import Reference
        from mammosynth.quality.rows import tidy

        given, wildcards = snakemake.input, snakemake.wildcards
        parameters = {name: given[name] for name in snakemake.params.parameters}
        classify = read(given.classifier, device(), dict(given.items()), snakemake.params.kept).probabilities
        describer = Describer(snakemake.params.extractors, parameters, classify, snakemake.params.kept, device())
        train, reference = ImageSet.load(given.train), Reference.load(given.reference)
        table, features = describer.synthetic(wildcards.gan, ImageSet.load(given.synthetic), train, reference)
        with open(snakemake.output.features, "wb") as file:
            np.savez(file, **features)
        tidy(table, wildcards.modality, wildcards.split, wildcards.seed).to_csv(snakemake.output.images, index=False)
