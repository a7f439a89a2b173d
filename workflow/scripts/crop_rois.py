"""Crop the ROIs of a modality's lesions."""

from mammosynth.curation import join_alike, load_lesions, save_lesions
from mammosynth.job import started
from mammosynth.partition import refuse_split_groups
from mammosynth.rois import crop_rois

if __name__ == "__main__":
    with started(snakemake):
        lesions = load_lesions(snakemake.input[0])
        images, table = crop_rois(lesions, **snakemake.params.rois, threads=snakemake.threads)
        images, table, pairs = join_alike(images, table, snakemake.params.searched, snakemake.params.external)
        refuse_split_groups(table)
        images.save(snakemake.output.images)
        save_lesions(table, snakemake.output.table)
        pairs.to_csv(snakemake.output.alike, index=False)
