"""Set the ROIs of a modality's external test databases apart from those that are split."""

from mammosynth.curation import load_lesions
from mammosynth.digests import write_digests
from mammosynth.imageset import ImageSet
from mammosynth.job import started
from mammosynth.partition import EXTERNAL, external_part, split_images

if __name__ == "__main__":
    with started(snakemake):
        given, made = snakemake.input, snakemake.output
        lesions = load_lesions(given.table)
        parts = external_part(lesions[lesions["database"].isin(snakemake.params.external)])
        split_images(ImageSet.load(given.images), parts)[EXTERNAL].save(made.images)
        write_digests([made.images], made.digest)
