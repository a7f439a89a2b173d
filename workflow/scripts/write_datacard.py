"""Write the data card of a modality."""

if __name__ == "__main__":
    from mammosynth.job import started

    with started(snakemake):
        import pandas as pd

        from mammosynth.curation import load_alike, load_images, load_lesions
        from mammosynth.report import datacard
        from mammosynth.splits import read_name

        given, params = snakemake.input, snakemake.params
        facts = datacard.Facts(
            modality=snakemake.wildcards.modality,
            config=params.config,
            images=load_images(given.images),
            rois=load_lesions(given.rois),
            alike=load_alike(given.alike),
            characteristics=pd.read_csv(given.characteristics, dtype=str, keep_default_na=False),
            fold=read_name(params.split).fold,
            figure=given.figure,
        )
        datacard.write(facts, params.captions["characteristics"], snakemake.output[0])
