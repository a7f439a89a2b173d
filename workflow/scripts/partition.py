"""Split a modality's ROIs to the training, validation and test part of a fold."""

from mammosynth.curation import load_lesions
from mammosynth.digests import write_digests
from mammosynth.imageset import ImageSet
from mammosynth.job import started
from mammosynth.partition import PARTS, assign_parts, split_images, usable

if __name__ == "__main__":
    with started(snakemake):
        lesions = load_lesions(snakemake.input.table)
        parts = assign_parts(usable(lesions), fold=int(snakemake.wildcards.fold), **snakemake.params.partition)
        parts.to_csv(snakemake.output.table, index=False)
        for name, images in split_images(ImageSet.load(snakemake.input.images), parts).items():
            images.save(snakemake.output[name])
        write_digests((snakemake.output[name] for name in PARTS), snakemake.output.digests)
