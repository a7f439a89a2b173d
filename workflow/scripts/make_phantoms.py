"""Write one database of phantoms."""

from pathlib import Path

from mammosynth.databases.phantoms import make_phantoms
from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        make_phantoms(snakemake.params.reader, snakemake.params.phantoms, Path(snakemake.output[0]).parent)
