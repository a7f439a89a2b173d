"""Write the scorecard of each generator of a modality, with its images that are closest to a training ROI."""

from pathlib import Path

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.digests import sha256_of
        from mammosynth.findings.names import name_of
        from mammosynth.findings.verdicts import leaks, verdicts
        from mammosynth.gans.transfer import read_generator
        from mammosynth.imageset import ImageSet
        from mammosynth.quality.novelty import nearest_in
        from mammosynth.quality.reference import Reference
        from mammosynth.report import figures, scorecard
        from mammosynth.report.figures_of_gans import plot_closest_pairs
        from mammosynth.splits import WHOLE, by_run, place_of, read_name, read_rows

        given, params, made = snakemake.input, snakemake.params, snakemake.output
        modality, splits = snakemake.wildcards.modality, pd.read_csv(given.splits)
        quality = pd.read_csv(given.quality)
        quality = quality[quality["share"] == WHOLE]
        partitions = {place_of(file)["split"]: pd.read_csv(file, dtype=str) for file in given.partitions}
        real_images = read_rows(given.real_images, splits)
        real, held_out = ImageSet.load(given.train), ImageSet.load(given.val)
        limits = Reference.load(given.reference).limits
        shown = real_images[real_images["split"] == params.shown[0]]
        closest_held_out = held_out.images, nearest_in(shown, held_out, real)
        found = leaks(read_rows(given.leaks, splits), params.draws)[modality] if given.leaks else {}

        for i, gan in enumerate(params.gans):
            of_images, histories = by_run(given.images, gan), by_run(given.histories, gan)
            (synthetic,) = (ImageSet.load(file) for file in by_run(given.synthetic, gan).values())
            closest = synthetic.images, nearest_in(pd.read_csv(of_images[params.shown]), synthetic, real)
            figure = plot_closest_pairs(modality, gan, closest, closest_held_out, real.images, limits)
            figures.save(figure, made.closest[i])

            runs = []
            for (split, seed), file in by_run(given.generators, gan).items():
                content, fold = read_generator(Path(file)), read_name(split).fold
                history = pd.read_csv(histories[split, seed])
                runs.append(scorecard.describe_run(fold, content, history, partitions[split], file, sha256_of(file)))
                settings = content["settings"]
            for (split, seed), file in by_run(given.drawn, gan).items():
                (collected,) = (ImageSet.load(of) for of in given.collected if Path(of).stem == gan)
                fold, drawn = read_name(split).fold, ImageSet.load(file)
                runs.append(scorecard.describe_draw(fold, seed, drawn, collected, file, sha256_of(file)))
                settings = params.config["generators"][gan]
            images = read_rows(list(of_images.values()), splits)
            verdict = verdicts(images, real_images, params.trainings)[modality][name_of(gan)]
            card = scorecard.describe(
                scorecard.Facts(
                    generator=gan,
                    modality=modality,
                    config=params.config,
                    preset=params.presets[gan],
                    judge=params.extractor,
                    settings=settings,
                    runs=runs,
                    quality=quality,
                    verdict={"memorising": verdict.memorising, "sentence": verdict.reason},
                    leaks=vars(found[name_of(gan)]) if name_of(gan) in found else None,
                )
            )
            samples = scorecard.sample(real, synthetic)
            caption = params.captions["closest"]
            scorecard.write(card, samples, made.closest[i], caption, html=made.pages[i], data=made.data[i])
