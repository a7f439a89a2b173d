"""Crop the ROIs of a modality's lesions."""

from mammosynth.curation import load_lesions, save_lesions
from mammosynth.job import started
from mammosynth.rois import crop_rois

if __name__ == "__main__":
    with started(snakemake):
        images, table = crop_rois(load_lesions(snakemake.input[0]), **snakemake.params.rois)
        images.save(snakemake.output.images)
        save_lesions(table, snakemake.output.table)
