"""Draw as many images of each class, of those made elsewhere, as a GAN would make."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        from mammosynth.classifiers.mixes import images_to_make
        from mammosynth.gans.elsewhere import draw
        from mammosynth.imageset import ImageSet

        given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
        count = images_to_make(params.dose, ImageSet.load(given.train).labels, params.oversample)
        drawn = draw(wildcards.gan, ImageSet.load(given.images), count, int(wildcards.seed))
        drawn.save(snakemake.output.images)
