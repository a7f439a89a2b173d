"""Synthesise as many images of each class as the largest dose of a mix, and the assessment, need."""

if __name__ == "__main__":
    from mammosynth.job import started

    with started(snakemake):
        import numpy as np

        from mammosynth.classifiers.mixes import per_class
        from mammosynth.gans.training import load_generator
        from mammosynth.imageset import ImageSet

        real = ImageSet.load(snakemake.input.train)
        # At least as many as the training part has of its larger class: fidelity halves them as it halves real ones.
        count = max(per_class(snakemake.params.dose, len(real)), *np.bincount(real.labels))
        gan = load_generator(snakemake.input.generator)
        gan.synthesise(count, real, int(snakemake.wildcards.seed)).save(snakemake.output.images)
