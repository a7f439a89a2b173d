"""Train one classifier on one mix."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import csv

        import torch

        from mammosynth.classifiers.mixes import assemble, parse_mix
        from mammosynth.classifiers.training import Settings, train
        from mammosynth.gpu import device
        from mammosynth.imageset import ImageSet

        gans = [path.split("/")[-2] for path in snakemake.input.get("synthetic", [])]
        mix, seed = parse_mix(snakemake.wildcards.mix, gans), int(snakemake.wildcards.seed)
        synthetic = {gan: ImageSet.load(path) for gan, path in zip(gans, snakemake.input.get("synthetic", []))}
        settings = dict(snakemake.params.settings)
        weights = settings.pop("weights", None)
        model, history = train(
            mix,
            assemble(mix, ImageSet.load(snakemake.input.real), synthetic, seed),
            ImageSet.load(snakemake.input.validation),
            Settings(**settings),
            seed,
            device(),
            weights,
        )
        torch.save(model, snakemake.output.model)
        with open(snakemake.output.history, "w", newline="") as file:
            writer = csv.DictWriter(file, history[0])
            writer.writeheader()
            writer.writerows(history)
