"""Synthesise as many images of each class as the largest dose of a mix, and the assessment, need."""

if __name__ == "__main__":
    from mammosynth.job import started

    with started(snakemake):
        from mammosynth.classifiers.mixes import parse_mix, required_synthetic
        from mammosynth.gans.training import load_generator
        from mammosynth.imageset import ImageSet

        real = ImageSet.load(snakemake.input.real)
        mixes = [parse_mix(mix, snakemake.config["gans"]) for mix in snakemake.params.mixes]
        count = required_synthetic(mixes, snakemake.wildcards.gan, len(real))
        gan = load_generator(snakemake.input.generator)
        gan.synthesise(count, real, int(snakemake.wildcards.seed)).save(snakemake.output.images)
