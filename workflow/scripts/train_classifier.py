"""Train one classifier on one mix."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        from pathlib import Path

        from mammosynth.classifiers.mixes import assemble, parse_mix
        from mammosynth.classifiers.training import Settings, train
        from mammosynth.gpu import device
        from mammosynth.imageset import ImageSet

        given, params = snakemake.input, snakemake.params
        mix, seed = parse_mix(snakemake.wildcards.mix), int(snakemake.wildcards.seed)
        synthetic = {gan: ImageSet.load(given[f"images_of_{gan}"]) for gan in mix.gans}
        train(
            mix,
            assemble(mix, ImageSet.load(given.train), synthetic, seed),
            ImageSet.load(given.val),
            Settings(**{name: value for name, value in params.settings.items() if name != "weights"}),
            seed,
            device(),
            model=Path(snakemake.output.model),
            history=Path(snakemake.output.history),
            checkpoint=Path(params.checkpoint),
            checkpoint_seconds=60 * snakemake.config["checkpoint_minutes"],
            weights=given.weights[0] if given.weights else None,
        )
