"""Read and curate the lesions of a modality."""

from mammosynth.curation import read_databases, save_lesions
from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        lesions, images = read_databases(snakemake.params.sources, snakemake.params.external)
        save_lesions(lesions, snakemake.output.lesions)
        images.to_csv(snakemake.output.images, index=False)
