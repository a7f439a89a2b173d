"""Plot a GAN's images that are closest to a training ROI, and those held-out real ROIs that are."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.imageset import ImageSet
        from mammosynth.quality.assess import nearest_in, novelty_limits
        from mammosynth.quality.reference import Reference
        from mammosynth.report import figures

        given, wildcards = snakemake.input, snakemake.wildcards
        train = ImageSet.load(given.train)
        sides = []
        for images, table in ((given.synthetic, given.images), (given.held_out, given.real_images)):
            images = ImageSet.load(images)
            sides.append((images.images, nearest_in(pd.read_csv(table), images, train)))
        limits = novelty_limits(Reference.load(given.reference))
        figure = figures.plot_closest_pairs(wildcards.modality, wildcards.gan, *sides, train.images, limits)
        figures.save(figure, snakemake.output[0])
