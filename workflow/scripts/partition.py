"""Split a modality's ROIs to the training, validation and test part of a fold, or a share of the training part."""

from mammosynth.curation import load_lesions
from mammosynth.digests import write_digests
from mammosynth.imageset import ImageSet
from mammosynth.job import started
from mammosynth.partition import PARTS, assign_parts, reduce_training, split_images, usable
from mammosynth.splits import read_name

if __name__ == "__main__":
    with started(snakemake):
        made, settings, wildcards = snakemake.output, snakemake.params.partition, snakemake.wildcards
        split = read_name(wildcards.split)
        parts = assign_parts(usable(load_lesions(snakemake.input.table)), fold=split.fold, **settings)
        parts = reduce_training(parts, split.share, settings["seed"])
        parts.assign(modality=wildcards.modality, split=split.name).to_csv(made.table, index=False)
        for name, images in split_images(ImageSet.load(snakemake.input.images), parts).items():
            images.save(made[name])
        write_digests((made[name] for name in PARTS), made.digests)
