"""Plot real beside synthetic ROIs of one modality, as they are and embedded by their features."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        from mammosynth.imageset import ImageSet
        from mammosynth.networks import NETWORKS
        from mammosynth.quality.reference import Reference, load_arrays
        from mammosynth.report import figures
        from mammosynth.report.figures_of_gans import plot_embedding, plot_samples

        given, params, modality = snakemake.input, snakemake.params, snakemake.wildcards.modality
        real = ImageSet.load(given.train)
        synthetic = {gan: ImageSet.load(file) for gan, file in zip(params.gans, given.synthetic)}
        figure = plot_samples(modality, real, synthetic, params.databases, params.phantoms)
        figures.save(figure, snakemake.output.samples)
        features = {
            gan: (load_arrays(file)[params.extractor], synthetic[gan].labels)
            for gan, file in zip(params.gans, given.features)
        }
        of_real = Reference.load(given.reference).features[params.extractor], real.labels
        figure = plot_embedding(modality, NETWORKS[params.extractor].title, of_real, features)
        figures.save(figure, *snakemake.output.embedding)
