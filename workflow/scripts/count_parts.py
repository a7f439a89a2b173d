"""Count ROIs and patients of each part of the whole study."""

import pandas as pd

from mammosynth.job import started
from mammosynth.partition import count_parts

if __name__ == "__main__":
    with started(snakemake):
        tables = [
            pd.read_csv(file, dtype=str).assign(modality=modality, fold=fold)
            for file, (modality, fold) in zip(snakemake.input.partitions, snakemake.params.study)
        ]
        count_parts(pd.concat(tables)).to_csv(snakemake.output[0], index=False)
