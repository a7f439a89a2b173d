"""Write the scorecard of each generator of a modality, with its images that are closest to a training ROI."""

from pathlib import Path

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        from itertools import product

        import pandas as pd

        from mammosynth.digests import sha256_of
        from mammosynth.gans.transfer import read_generator
        from mammosynth.imageset import ImageSet
        from mammosynth.quality.novelty import nearest_in
        from mammosynth.quality.reference import Reference
        from mammosynth.report import figures, scorecard
        from mammosynth.report.names import name_of
        from mammosynth.report.page import verdicts

        given, params, made = snakemake.input, snakemake.params, snakemake.output
        modality, trainings = snakemake.wildcards.modality, list(product(params.folds, params.seeds))
        quality = pd.read_csv(given.quality)
        partitions = {fold: pd.read_csv(file, dtype=str) for fold, file in zip(params.folds, given.partitions)}
        real_images = pd.concat(map(pd.read_csv, given.real_images))
        real, held_out = ImageSet.load(given.train), ImageSet.load(given.val)
        limits = Reference.load(given.reference).near_copy_limits
        closest_held_out = held_out.images, nearest_in(pd.read_csv(given.real_images[0]), held_out, real)

        for i, gan in enumerate(params.gans):
            own = slice(i * len(trainings), (i + 1) * len(trainings))
            images = [pd.read_csv(file) for file in given.images[own]]
            synthetic = ImageSet.load(given.synthetic[i])
            closest = synthetic.images, nearest_in(images[0], synthetic, real)
            figure = figures.plot_closest_pairs(modality, gan, closest, closest_held_out, real.images, limits)
            figures.save(figure, made.closest[i])

            runs = []
            for (fold, _), file, history in zip(trainings, given.generators[own], given.histories[own], strict=True):
                content = read_generator(Path(file))
                digest = sha256_of(file)
                run = scorecard.describe_run(fold, content, pd.read_csv(history), partitions[fold], file, digest)
                runs.append(run)
            verdict = verdicts(pd.concat(images), real_images, params.trainings)[modality][name_of(gan)]
            card = scorecard.describe(
                scorecard.Facts(
                    generator=gan,
                    modality=modality,
                    config=params.config,
                    preset=params.presets[gan],
                    looks=params.extractor,
                    settings=content["settings"],
                    runs=runs,
                    quality=quality,
                    verdict={"memorising": verdict.memorising, "sentence": verdict.reason},
                )
            )
            samples = scorecard.sample(real, synthetic)
            scorecard.write(card, samples, made.closest[i], html=made.pages[i], data=made.data[i])
