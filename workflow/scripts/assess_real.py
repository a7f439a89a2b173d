"""Measure the real ROIs of one fold's training part, and what its generators are to be judged against."""

if __name__ == "__main__":
    from mammosynth.job import started

    with started(snakemake):
        from mammosynth.classifiers.training import read
        from mammosynth.gpu import device
        from mammosynth.imageset import ImageSet
        from mammosynth.quality.assess import assess_real
        from mammosynth.quality.rows import tidy

        rows, images, reference = assess_real(
            ImageSet.load(snakemake.input.train),
            ImageSet.load(snakemake.input.val),
            read(snakemake.input.classifier, device(), dict(snakemake.input.items())).probabilities,
            list(snakemake.params.extractors),
            dict(snakemake.input.items()),
            **snakemake.params.statistics,
            device=device(),
        )
        reference.save(snakemake.output.reference)
        where = snakemake.wildcards.modality, snakemake.wildcards.split
        tidy(rows, *where).to_csv(snakemake.output.rows, index=False)
        tidy(images, *where).to_csv(snakemake.output.images, index=False)
