"""Download one database and list its files."""

from pathlib import Path

from mammosynth.downloads import download, list_files
from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        root = Path(snakemake.output[0]).with_suffix("")
        download(snakemake.params.declaration, root)
        list_files(root, Path(snakemake.output[0]))
