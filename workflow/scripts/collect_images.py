"""Read the images that were made elsewhere and stand in a GAN's place."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        from mammosynth.digests import write_digests
        from mammosynth.gans.elsewhere import collect

        params, wildcards, made = snakemake.params, snakemake.wildcards, snakemake.output
        images = collect(wildcards.gan, params.settings, wildcards.modality, **params.rois, threads=snakemake.threads)
        images.save(made.images)
        write_digests([made.images], made.digest)
