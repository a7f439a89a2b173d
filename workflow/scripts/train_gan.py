"""Train one GAN on the training ROIs of one fold."""

if __name__ == "__main__":
    from pathlib import Path

    from mammosynth.job import started

    with started(snakemake):
        from mammosynth.gans.settings import Settings
        from mammosynth.gans.training import train
        from mammosynth.imageset import ImageSet

        given = {name: Path(path) for name, path in snakemake.input.items() if path}
        train(
            ImageSet.load(given["train"]),
            Settings.of(snakemake.params.settings),
            int(snakemake.wildcards.seed),
            generator=Path(snakemake.output.generator),
            history=Path(snakemake.output.history),
            progress=Path(snakemake.output.progress),
            checkpoint=Path(snakemake.params.checkpoint),
            checkpoint_seconds=60 * snakemake.config["checkpoint_minutes"],
            validation=ImageSet.load(given["val"]) if "val" in given else None,
            extractor=snakemake.params.extractor,
            parameters=given,
            start_from=given.get("start_from"),
            held_out=given.get("partition"),
            tensorboard=Path(snakemake.params.tensorboard) if snakemake.config["tensorboard"] else None,
        )
