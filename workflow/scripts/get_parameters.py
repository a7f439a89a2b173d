"""Obtain one parameter file and check it."""

if __name__ == "__main__":
    from mammosynth.job import started

    with started(snakemake):
        from mammosynth.parameters import obtain

        params = snakemake.params
        obtain(snakemake.wildcards.name, params.declaration, snakemake.output.file, snakemake.config["parameters"])
