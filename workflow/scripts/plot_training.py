"""Plot the training of one modality's GANs and classifiers."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        from mammosynth.networks import NETWORKS
        from mammosynth.report import figures

        modality, made = snakemake.wildcards.modality, snakemake.output
        gans = figures.read_histories(snakemake.input.gans, "gan")
        title = NETWORKS[snakemake.params.extractor].title
        figures.save(figures.plot_gan_training(modality, gans, title), made.gans)
        classifiers = figures.read_histories(snakemake.input.classifiers, "mix")
        figures.save(figures.plot_classifier_training(modality, classifiers), made.classifiers)
