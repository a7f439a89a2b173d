"""Measure the real ROIs of one fold's training part, and what its generators are to be judged against."""

if __name__ == "__main__":
    from mammosynth.job import started

    with started(snakemake):
        from mammosynth.gpu import device
        from mammosynth.imageset import ImageSet
        from mammosynth.quality.assess import assess_real, tidy

        rows, reference = assess_real(
            ImageSet.load(snakemake.input.train),
            snakemake.params.extractors,
            dict(snakemake.input.items()),
            **snakemake.params.statistics,
            device=device(),
        )
        reference.save(snakemake.output.reference)
        rows = tidy(rows, snakemake.wildcards.modality, snakemake.wildcards.fold)
        rows.to_csv(snakemake.output.rows, index=False)
