"""Read and curate the lesions of a modality."""

from mammosynth.curation import read_lesions, save_lesions
from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        save_lesions(read_lesions(snakemake.params.sources), snakemake.output[0])
