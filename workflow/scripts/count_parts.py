"""Check that what trainings wait for is whole and can be judged; count ROIs and patients of each part of each split."""

import pandas as pd

from mammosynth.digests import read_digests, refuse_changed
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
        count_parts(partitions).to_csv(snakemake.output.parts, index=False)
        tabulate(params.splits).to_csv(snakemake.output.splits, index=False)
