"""Plot the quality measures of one modality."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.report import figures
        from mammosynth.report.figures_of_gans import plot_quality
        from mammosynth.splits import WHOLE

        quality = pd.read_csv(snakemake.input[0])
        quality = quality[quality["share"] == WHOLE]
        figures.save(plot_quality(snakemake.wildcards.modality, quality), *snakemake.output)
