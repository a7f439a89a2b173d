"""Train one classifier on one mix, and predict with it."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        from pathlib import Path

        import pandas as pd

        from mammosynth.classifiers.mixes import assemble, parse_mix
        from mammosynth.classifiers.prediction import predict
        from mammosynth.classifiers.training import read, train
        from mammosynth.gpu import device
        from mammosynth.imageset import ImageSet

        given, params, made = snakemake.input, snakemake.params, snakemake.output
        where = {name: snakemake.wildcards[name] for name in ("modality", "split", "classifier", "mix", "seed")}
        mix, seed, parameters = parse_mix(where["mix"]), int(where["seed"]), dict(given.items())
        synthetic = {gan: ImageSet.load(given[f"images_of_{gan}"]) for gan in mix.gans}
        real, validation = ImageSet.load(given.train), ImageSet.load(given.val)
        train(
            mix,
            assemble(mix, real, synthetic, seed),
            validation,
            params.settings,
            seed,
            device(),
            model=Path(made.model),
            history=Path(made.history),
            checkpoint=Path(params.checkpoint),
            checkpoint_seconds=60 * snakemake.config["checkpoint_minutes"],
            parameters=parameters,
            drawn_from=[real, *synthetic.values()],
            kept=params.kept,
        )
        # The classifier is in its file: nothing from here on is fitted, and the test part is read for the first time.
        parts = {"val": validation, "test": ImageSet.load(given.test)}
        partition = pd.read_csv(given.partition, dtype=str)
        databases = dict(zip(partition["lesion_id"], partition["database"]))
        classifier = read(made.model, device(), parameters, params.kept)
        predictions = predict(classifier, parts, databases, where)
        predictions.to_csv(made.predictions, index=False)
