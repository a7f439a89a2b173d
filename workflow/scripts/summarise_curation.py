"""Count, draw and tabulate what curation did with a modality."""

if __name__ == "__main__":
    from mammosynth.job import started

    with started(snakemake):
        import pandas as pd

        from mammosynth.curation import load_alike, load_images, load_lesions
        from mammosynth.findings.flow import count_flow
        from mammosynth.report import curation, figures
        from mammosynth.splits import place_of, read_name

        given, params, made = snakemake.input, snakemake.params, snakemake.output
        modality = snakemake.wildcards.modality
        images, rois, alike = load_images(given.images), load_lesions(given.rois), load_alike(given.alike)
        partitions = {
            read_name(place_of(file)["split"]).fold: pd.read_csv(file, dtype=str) for file in given.partitions
        }
        fold = next(iter(partitions))
        flow = count_flow(images, rois, alike, partitions)
        flow.to_csv(made.flow, index=False)
        note = f" (phantoms, not clinical data: {', '.join(params.phantoms)})" if params.phantoms else ""
        title = f"{modality.capitalize()}{note}: from images to ROIs, fold {fold}"
        figures.save(curation.plot_flow(flow, title, fold), made.figure, made.pdf)
        table = curation.characterise(rois, partitions[fold], params.rois["size"], params.rois["margin"])
        table.to_csv(made.characteristics, index=False)
        groups = curation.find_groups(images)
        conflicts = [group for group in groups if curation.in_conflict(group)]
        pairs = curation.find_pairs(alike, rois)
        for shown, title, path, kind in (
            (groups, "Near-duplicates", made.near_duplicates, "groups"),
            (conflicts, "Near-duplicates with different labels, all excluded", made.conflicts, "groups"),
            (pairs, "ROIs of different patients or groups that look alike", made.alike, "pairs"),
        ):
            figures.save(curation.plot_groups(shown, modality, f"{title}{note}", "none found", kind), path)
