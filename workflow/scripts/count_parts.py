"""Count ROIs and patients of each part of the whole study, if all that is trained on them can be judged."""

import pandas as pd

from mammosynth.job import started
from mammosynth.partition import count_parts, refuse_unjudgeable

if __name__ == "__main__":
    with started(snakemake):
        tables = [
            pd.read_csv(file, dtype=str).assign(modality=modality, fold=fold)
            for file, (modality, fold) in zip(snakemake.input.partitions, snakemake.params.study)
        ]
        partitions = pd.concat(tables)
        refuse_unjudgeable(partitions, snakemake.params.looks)
        count_parts(partitions).to_csv(snakemake.output[0], index=False)
