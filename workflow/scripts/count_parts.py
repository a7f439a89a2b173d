"""Check that what trainings wait for is whole and can be judged, and count ROIs and patients of each part."""

import pandas as pd

from mammosynth.digests import read_digests, refuse_changed
from mammosynth.job import started
from mammosynth.partition import count_parts, refuse_unjudgeable

if __name__ == "__main__":
    with started(snakemake):
        given, params = snakemake.input, snakemake.params
        digests = dict(zip(given.parameters, params.parameters, strict=True))
        for file in given.digests:
            digests |= read_digests(file)
        refuse_changed(digests)
        tables = [
            pd.read_csv(file, dtype=str).assign(modality=modality, fold=fold)
            for file, (modality, fold) in zip(given.partitions, params.study, strict=True)
        ]
        partitions = pd.concat(tables)
        refuse_unjudgeable(partitions, params.looks)
        count_parts(partitions).to_csv(snakemake.output[0], index=False)
