"""Write the tidy quality rows and the paper-shaped tables."""

from pathlib import Path

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.findings.tables import table_accuracy, table_quality, to_latex
        from mammosynth.splits import WHOLE, read_rows
        from mammosynth.study import features_seen

        splits = pd.read_csv(snakemake.input.splits)
        quality = read_rows([*snakemake.input.quality, *snakemake.input.real], splits)
        paper = pd.read_csv(snakemake.input.paper)
        quality.to_csv(snakemake.output.quality, index=False)
        table = table_quality(quality[quality["share"] == WHOLE], paper, features_seen(snakemake.config))
        table.to_csv(snakemake.output.table_quality, index=False)
        pooled = table[table["class"] == "all"].drop(columns="class")
        caption = (
            "Quality of the synthetic ROIs, both classes pooled. Brackets: 95 % intervals; ±: standard deviation over "
            "several runs; n: ROIs that a measure is of in a run; †: on features that the GAN was trained against."
        )
        Path(snakemake.output.latex_quality).write_text(to_latex(pooled, caption, "tab:quality"), encoding="utf-8")
        scores = pd.read_csv(snakemake.input.scores)
        table = table_accuracy(scores[scores["share"] == WHOLE], paper)
        table.to_csv(snakemake.output.table_accuracy, index=False)
        tested = "the test part, and on external databases" if "part" in table else "the test part"
        caption = f"Classifiers on {tested}. Brackets: 95 % intervals from resampled patients."
        Path(snakemake.output.latex_accuracy).write_text(to_latex(table, caption, "tab:accuracy"), encoding="utf-8")
