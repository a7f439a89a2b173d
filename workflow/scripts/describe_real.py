"""Describe each real ROI of a split, and write what synthetic ones are described beside."""

if __name__ == "__main__":
    from mammosynth.job import started

    with started(snakemake):
        from mammosynth.classifiers.training import read
        from mammosynth.gpu import device
        from mammosynth.imageset import ImageSet
        from mammosynth.quality.describe import Describer
        from mammosynth.quality.rows import tidy

        given, wildcards = snakemake.input, snakemake.wildcards
        parameters = {name: given[name] for name in snakemake.params.parameters}
        classify = read(given.classifier, device(), dict(given.items()), snakemake.params.kept).probabilities
        describer = Describer(snakemake.params.extractors, parameters, classify, snakemake.params.kept, device())
        table, reference = describer.real(ImageSet.load(given.train), ImageSet.load(given.val))
        reference.save(snakemake.output.reference)
        tidy(table, wildcards.modality, wildcards.split).to_csv(snakemake.output.images, index=False)
