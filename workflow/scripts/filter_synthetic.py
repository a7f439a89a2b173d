"""Keep from the classifiers those synthetic ROIs that the study's filter drops."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.imageset import ImageSet
        from mammosynth.quality.filter import filter_images, refuse_memorising
        from mammosynth.quality.rows import tidy

        wildcards = snakemake.wildcards
        judged, real = pd.read_csv(snakemake.input.judged), pd.read_csv(snakemake.input.real)
        if snakemake.params.on_memorising == "stop":
            refuse_memorising(wildcards.gan, judged, real, snakemake.params.trainings)
        synthetic = ImageSet.load(snakemake.input.synthetic)
        kept, outcomes = filter_images(wildcards.gan, synthetic, judged, real, snakemake.params.limits)
        kept.save(snakemake.output.images)
        tidy(outcomes, wildcards.modality, wildcards.split, wildcards.seed).to_csv(
            snakemake.output.outcomes, index=False
        )
