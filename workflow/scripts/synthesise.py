"""Synthesise as many images of each class as the largest dose of a mix, and the assessment, need."""

if __name__ == "__main__":
    from mammosynth.job import started

    with started(snakemake):
        from mammosynth.classifiers.mixes import images_to_make
        from mammosynth.gans.training import load_generator
        from mammosynth.imageset import ImageSet

        real = ImageSet.load(snakemake.input.train)
        count = images_to_make(snakemake.params.dose, real.labels, snakemake.params.oversample)
        gan = load_generator(snakemake.input.generator)
        gan.synthesise(count, real, int(snakemake.wildcards.seed)).save(snakemake.output.images)
