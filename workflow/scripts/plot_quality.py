"""Plot the quality measures of one modality."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.report import figures

        quality = pd.read_csv(snakemake.input[0])
        figures.save(figures.plot_quality(snakemake.wildcards.modality, quality), snakemake.output[0])
