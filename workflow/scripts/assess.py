"""Judge all sets of synthetic ROIs of a split against its real ones."""

from concurrent.futures import ThreadPoolExecutor

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake, threads=1):
        from mammosynth.quality.assess import assess, assess_real, read
        from mammosynth.quality.measures import HELD_OUT, REAL
        from mammosynth.quality.reference import Reference, load_arrays
        from mammosynth.quality.rows import tidy
        from mammosynth.splits import place_of

        given, wildcards, statistics = snakemake.input, snakemake.wildcards, snakemake.params.statistics
        train = read(REAL, given.train, given.real_images, Reference.load(given.reference).features)
        held_out = read(HELD_OUT, given.val, given.real_images)
        rows, floor = assess_real(train, held_out, **statistics)
        tidy(rows, wildcards.modality, wildcards.split).to_csv(snakemake.output.real, index=False)

        def write(images: str, table: str, features: str, output: str) -> None:
            """Write the rows of one set."""
            place = place_of(images)
            synthetic = read(place["name"], images, table, load_arrays(features))
            rows = assess(place["name"], synthetic, train, held_out, floor, **statistics)
            tidy(rows, wildcards.modality, wildcards.split, place["seed"]).to_csv(output, index=False)

        with ThreadPoolExecutor(snakemake.threads) as pool:  # numpy's work runs side by side
            list(pool.map(write, given.synthetic, given.images, given.features, snakemake.output.rows))
