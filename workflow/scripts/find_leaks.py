"""Compare images made elsewhere with the ROIs that no training may see."""

if __name__ == "__main__":
    from mammosynth.job import started

    with started(snakemake):
        from mammosynth.gpu import device
        from mammosynth.imageset import ImageSet
        from mammosynth.networks.kept import kept_features
        from mammosynth.quality.leaks import find_leaks
        from mammosynth.quality.reference import Reference, load_arrays
        from mammosynth.quality.rows import tidy

        given, wildcards, network = snakemake.input, snakemake.wildcards, snakemake.params.extractor
        parts = {part: ImageSet.load(given[part]) for part in snakemake.params.parts}
        features = {
            part: kept_features(of_part.images, network, given[network], snakemake.params.kept, device())
            for part, of_part in parts.items()
        }
        table = find_leaks(
            wildcards.gan,
            ImageSet.load(given.synthetic),
            load_arrays(given.features)[network],
            ImageSet.load(given.train),
            Reference.load(given.reference).features[network],
            parts,
            features,
        )
        tidy(table, wildcards.modality, wildcards.split, wildcards.seed).to_csv(snakemake.output[0], index=False)
