"""Plot the training of one modality's GANs."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        from mammosynth.networks import NETWORKS
        from mammosynth.report import figures

        histories = figures.read_histories(snakemake.input, "gan")
        title = NETWORKS[snakemake.params.extractor].title
        figure = figures.plot_gan_training(snakemake.wildcards.modality, histories, title)
        figures.save(figure, snakemake.output[0])
