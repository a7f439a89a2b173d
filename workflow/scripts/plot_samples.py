"""Plot real beside synthetic ROIs of one modality."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        from mammosynth.imageset import ImageSet
        from mammosynth.report import figures
        from mammosynth.report.figures_of_gans import plot_samples

        params = snakemake.params
        figure = plot_samples(
            snakemake.wildcards.modality,
            ImageSet.load(snakemake.input.train),
            {gan: ImageSet.load(file) for gan, file in zip(params.gans, snakemake.input.synthetic)},
            params.databases,
            params.phantoms,
        )
        figures.save(figure, snakemake.output[0])
