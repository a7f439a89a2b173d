"""Write the tidy quality rows and the tables of all measures and scores."""

from pathlib import Path

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.findings.tables import table_accuracy, table_decisions, table_quality, to_latex
        from mammosynth.splits import WHOLE, read_rows
        from mammosynth.study import trained_against

        splits = pd.read_csv(snakemake.input.splits)
        quality = read_rows([*snakemake.input.quality, *snakemake.input.real], splits)
        quality.to_csv(snakemake.output.quality, index=False)
        table = table_quality(quality[quality["share"] == WHOLE], trained_against(snakemake.config))
        table.to_csv(snakemake.output.table_quality, index=False)
        pooled = table[table["class"] == "all"].drop(columns="class")
        captions = snakemake.params.captions
        caption = f"Both classes pooled. {captions['table_quality']}"
        Path(snakemake.output.latex_quality).write_text(to_latex(pooled, caption, "tab:quality"), encoding="utf-8")
        scores = pd.read_csv(snakemake.input.scores)
        scores = scores[scores["share"] == WHOLE]
        for name, table in (("accuracy", table_accuracy(scores)), ("decisions", table_decisions(scores))):
            table.to_csv(snakemake.output[f"table_{name}"], index=False)
            latex = to_latex(table, captions[f"table_{name}"], f"tab:{name}")
            Path(snakemake.output[f"latex_{name}"]).write_text(latex, encoding="utf-8")
