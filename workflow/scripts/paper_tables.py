"""Write the paper's tables, regenerated, for machines, for LaTeX and as a page."""

from pathlib import Path

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.findings.screens import screens_of
        from mammosynth.findings.tables import paper_accuracy, paper_quality, to_latex
        from mammosynth.report.page import write_paper_tables
        from mammosynth.splits import WHOLE
        from mammosynth.study import trained_against

        given, made, captions, config = (
            snakemake.input, snakemake.output, snakemake.params.captions, snakemake.params.config
        )  # fmt: skip
        quality, scores, paper = (pd.read_csv(given[name]) for name in ("quality", "scores", "paper"))
        scores = scores[scores["share"] == WHOLE]
        trained = scores[~scores["classifier"].isin(screens_of(config))]
        tables = {
            "quality": paper_quality(quality[quality["share"] == WHOLE], paper, trained_against(config)),
            "accuracy": paper_accuracy(trained if len(trained) else scores, paper),
        }
        for name, table in tables.items():
            table.to_csv(made[name], index=False)
            latex = to_latex(table, captions[f"paper_{name}"], f"tab:paper_{name}")
            Path(made[f"latex_{name}"]).write_text(latex, encoding="utf-8")
        write_paper_tables(tables, captions, config, paper, made.page)
