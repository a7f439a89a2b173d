"""Write the card and the limits of each classifier of a split."""

from mammosynth.job import started

if __name__ == "__main__":
    with started(snakemake):
        import pandas as pd

        from mammosynth.arrays.typicality import fit
        from mammosynth.classifiers.card import describe, write
        from mammosynth.imageset import ImageSet
        from mammosynth.quality.reference import Reference

        given, params = snakemake.input, snakemake.params
        train = ImageSet.load(given.train)
        typicality = fit(Reference.load(given.reference).features[params.network], train.patients)
        rois = pd.read_csv(given.table, dtype={"lesion_id": str, "group": str}).set_index("lesion_id")
        training = rois.loc[train.ids.tolist()]
        for model, file in zip(given.models, given.predictions):
            predictions = pd.read_csv(file, dtype={"lesion_id": str, "patient_id": str})
            method = params.methods[predictions["classifier"].iloc[0]]
            card = describe(predictions, training, model, params.rois, method, params.network, **params.statistics)
            write(card, typicality, model)
