"""Check that what trainings wait for is whole, enough and can be judged; count ROIs and patients of each part."""

import pandas as pd

from mammosynth.classifiers.mixes import images_to_make
from mammosynth.digests import read_digests, refuse_changed
from mammosynth.errors import Problems
from mammosynth.gans.elsewhere import refuse_few
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.job import started
from mammosynth.partition import count_parts, refuse_unjudgeable
from mammosynth.splits import tabulate

if __name__ == "__main__":
    with started(snakemake):
        given, params = snakemake.input, snakemake.params
        digests = dict(zip(given.parameters, params.parameters, strict=True))
        for file in given.digests:
            digests |= read_digests(file)
        refuse_changed(digests)
        partitions = pd.concat([pd.read_csv(file, dtype=str) for file in given.partitions])
        refuse_unjudgeable(partitions, params.evaluates)
        problems = Problems()
        for file, (modality, gan, dose) in zip(given.collected, params.collected, strict=True):
            images = ImageSet.load(file)
            training = partitions[(partitions["part"] == "train") & (partitions["modality"] == modality)]
            labels = [of_split["pathology"].map(CLASSES.index) for _, of_split in training.groupby("split")]
            with problems.gathered():
                refuse_few(gan, images, max(images_to_make(dose, of, params.oversample) for of in labels))
        problems.refuse()
        count_parts(partitions).to_csv(snakemake.output.parts, index=False)
        tabulate(params.splits).to_csv(snakemake.output.splits, index=False)
