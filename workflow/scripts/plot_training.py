"""Plot the training of one modality's GANs and classifiers."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        from mammosynth.networks import NETWORKS
        from mammosynth.report import figures

        modality = snakemake.wildcards.modality
        gans = figures.read_histories(snakemake.input.gans, "gan")
        figure = figures.plot_gan_training(modality, gans, NETWORKS[snakemake.params.extractor].title)
        figures.save(figure, snakemake.output.gans)
        classifiers = figures.read_histories(snakemake.input.classifiers, "mix")
        figures.save(figures.plot_classifier_training(modality, classifiers), snakemake.output.classifiers)
