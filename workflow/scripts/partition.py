"""Split a modality's ROIs to the training, validation and test part of a fold, or a share of the training part."""

from mammosynth.curation import load_lesions
from mammosynth.digests import write_digests
from mammosynth.imageset import ImageSet
from mammosynth.job import started
from mammosynth.partition import PARTS, assign_parts, external_part, reduce_training, split_images, usable
from mammosynth.splits import read_name

if __name__ == "__main__":
    import pandas as pd

    with started(snakemake):
        made, settings, wildcards = snakemake.output, snakemake.params.partition, snakemake.wildcards
        split = read_name(wildcards.split)
        lesions = load_lesions(snakemake.input.table)
        external = lesions["database"].isin(snakemake.params.external)
        parts = assign_parts(usable(lesions[~external]), fold=split.fold, **settings)
        parts = pd.concat([reduce_training(parts, split.share, settings["seed"]), external_part(lesions[external])])
        parts.assign(modality=wildcards.modality, split=split.name).to_csv(made.table, index=False)
        images = split_images(ImageSet.load(snakemake.input.images), parts)
        for name in PARTS:
            images[name].save(made[name])
        write_digests((made[name] for name in PARTS), made.digests)
