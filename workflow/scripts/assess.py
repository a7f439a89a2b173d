"""Judge one GAN's synthetic ROIs against the real ones of the training part."""

if __name__ == "__main__":
    from mammosynth.job import started

    with started(snakemake):
        from mammosynth.classifiers.training import read
        from mammosynth.gpu import device
        from mammosynth.imageset import ImageSet
        from mammosynth.quality.assess import Reference, assess
        from mammosynth.quality.rows import tidy

        wildcards = snakemake.wildcards
        rows, images = assess(
            wildcards.gan,
            ImageSet.load(snakemake.input.synthetic),
            ImageSet.load(snakemake.input.train),
            Reference.load(snakemake.input.reference),
            read(snakemake.input.classifier, device(), dict(snakemake.input.items())).probabilities,
            list(snakemake.params.extractors),
            dict(snakemake.input.items()),
            **snakemake.params.statistics,
            device=device(),
        )
        where = wildcards.modality, wildcards.split, wildcards.seed
        tidy(rows, *where).to_csv(snakemake.output.rows, index=False)
        tidy(images, *where).to_csv(snakemake.output.images, index=False)
