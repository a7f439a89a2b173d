"""Rank the generators by each measure, and correlate the measures' ranks."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.findings.ranks import rank_correlations, rank_generators
        from mammosynth.report import figures
        from mammosynth.report.ranks import plot_ranks
        from mammosynth.splits import WHOLE

        quality = pd.read_csv(snakemake.input.quality)
        ranks = rank_generators(quality[quality["share"] == WHOLE], snakemake.params.seen)
        correlations = rank_correlations(ranks)
        ranks.to_csv(snakemake.output.ranks, index=False)
        correlations.to_csv(snakemake.output.correlations, index=False)
        made = snakemake.output
        for modality, *paths in zip(snakemake.params.modalities, made.figures, made.pdfs):
            figures.save(plot_ranks(modality, ranks, correlations), *paths)
