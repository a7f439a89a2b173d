"""Draw the graph of the workflow's rules."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        from mammosynth.report import figures, rulegraph

        dot = rulegraph.ask_snakemake(snakemake.input.snakefile, snakemake.params.config, ".")
        figures.save(rulegraph.draw(rulegraph.read_dot(dot)), snakemake.output[0])
