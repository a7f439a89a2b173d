"""Plot the training of one modality's GANs."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        from mammosynth.networks import NETWORKS
        from mammosynth.report import figures
        from mammosynth.report.figures_of_training import plot_gan_training, read_histories

        histories = read_histories(snakemake.input, "gan")
        title = NETWORKS[snakemake.params.extractor].title
        figure = plot_gan_training(snakemake.wildcards.modality, histories, title)
        figures.save(figure, *snakemake.output)
