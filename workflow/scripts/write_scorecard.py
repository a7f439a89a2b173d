"""Write the scorecard of one generator and modality."""

if __name__ == "__main__":
    from mammosynth.job import started

    with started(snakemake):
        import hashlib
        from itertools import product
        from pathlib import Path

        import pandas as pd

        from mammosynth.gans.transfer import read_generator
        from mammosynth.imageset import ImageSet
        from mammosynth.report import scorecard
        from mammosynth.report.page import verdicts

        given, params = snakemake.input, snakemake.params
        runs = []
        for (fold, _), file, history in zip(
            product(params.folds, params.seeds), given.generators, given.histories, strict=True
        ):
            content = read_generator(Path(file))
            partition = pd.read_csv(given.partitions[params.folds.index(fold)], dtype=str)
            digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
            runs.append(scorecard.describe_run(fold, content, pd.read_csv(history), partition, file, digest))
        images, real_images = (pd.concat(map(pd.read_csv, given[name])) for name in ("images", "real_images"))
        ((verdict,),) = (found.values() for found in verdicts(images, real_images).values())
        card = scorecard.describe(
            scorecard.Facts(
                generator=snakemake.wildcards.gan,
                modality=snakemake.wildcards.modality,
                config=params.config,
                preset=params.preset,
                looks=params.extractor,
                settings=content["settings"],
                runs=runs,
                quality=pd.read_csv(given.quality),
                verdict={"memorising": verdict.memorising, "sentence": verdict.reason},
            )
        )
        samples = scorecard.sample(ImageSet.load(given.real), ImageSet.load(given.synthetic))
        scorecard.write(card, samples, given.neighbours, html=snakemake.output.page, data=snakemake.output.data)
