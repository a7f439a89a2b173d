"""``mammosynth check``: what a study would be trained on."""

from pathlib import Path

import click


@click.command(short_help="Read the data of a study, and train nothing.")
@click.argument("study", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(study: Path) -> None:
    """Read the data that the study file STUDY names: counts, what is excluded and why, and pictures of all ROIs.

    What is broken is told with its file. Nothing is trained. The files lie beside STUDY, where the study will find
    them.

    \b
    Example:
      mammosynth check my_study/study.yaml
    """
    import pandas as pd

    from mammosynth.commands.workflow import run
    from mammosynth.partition import count_parts

    modalities = _modalities(study)
    click.echo(f"Reading {', '.join(modalities)} …", err=True)
    files = ("contact_sheet.png", "curation/data_card.html")
    run(study, *(f"results/{modality}/{file}" for modality in modalities for file in files), "--cores", "all")
    for modality in modalities:
        folder = study.parent / "results" / modality
        rois = pd.read_csv(folder / "rois.csv", dtype=str, keep_default_na=False)
        used = rois[rois["excluded"] == ""]
        counts = ", ".join(f"{n} {name}" for name, n in used["pathology"].value_counts(sort=False).items())
        click.echo(
            f"\n{modality}: {len(rois)} lesions, {len(used)} used ({counts}; {used['group'].nunique()} patients)"
        )
        for reason, n in rois.loc[rois["excluded"] != "", "excluded"].value_counts().items():
            click.echo(f"  excluded {n}: {reason}")
        for file in sorted(folder.glob("fold*/partition.csv")):
            for row in count_parts(pd.read_csv(file, dtype=str)).to_dict("records"):
                of = f" of {row['database']}" if row.get("database", "all") != "all" else ""
                counts = f"{row['benign']} benign, {row['malignant']} malignant, {row['patients']} patients"
                click.echo(f"  {row['split']}, {row['part']}{of}: {counts}")
        click.echo(f"  look at {folder / files[0]}\n  and at  {folder / files[1]}")
    click.echo("\nNothing was trained.")


def _modalities(study: Path) -> list[str]:
    """The modalities of a study file's databases.  Raises InputError if it names a source that is not there."""
    import yaml

    from mammosynth.commands.workflow import snakefile
    from mammosynth.errors import InputError

    base = yaml.safe_load((snakefile().parent / "config.yaml").read_text(encoding="utf-8"))
    try:
        own = yaml.safe_load(study.read_text(encoding="utf-8")) or {}
        sources = {**base["sources"], **own.get("sources", {})}
        chosen = own.get("databases", base["databases"])
        return list(dict.fromkeys({**base["sources"].get(name, {}), **sources[name]}["modality"] for name in chosen))
    except (yaml.YAMLError, AttributeError, TypeError, KeyError, UnicodeDecodeError) as error:
        raise InputError(f"{study} is no study file, or names a database that no source is called ({error})") from error
