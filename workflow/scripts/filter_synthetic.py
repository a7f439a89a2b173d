"""Keep from the classifiers those synthetic ROIs that the study's filter drops."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.imageset import ImageSet
        from mammosynth.quality.filter import filter_images, refuse_memorising

        judged, real = (pd.read_csv(snakemake.input[name], keep_default_na=True) for name in ("images", "real"))
        if snakemake.params.on_memorising == "stop":
            refuse_memorising(snakemake.wildcards.gan, judged, real)
        synthetic = ImageSet.load(snakemake.input.synthetic)
        kept, fate = filter_images(snakemake.wildcards.gan, synthetic, judged, real, snakemake.params.limits)
        kept.save(snakemake.output.images)
        fate.to_csv(snakemake.output.fate, index=False)
