"""``mammosynth assess``: a scorecard of any synthetic images beside any real ones."""

from pathlib import Path

import click

PLACE = click.Path(exists=True, path_type=Path)


@click.command(short_help="Judge synthetic images against real ones.")
@click.argument("real", type=PLACE)
@click.argument("synthetic", type=PLACE)
@click.option("--held-out", type=PLACE, help="Real images that the generator was not trained on.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="assessment", show_default=True, help="Folder of the scorecard."
)
@click.option("--benign", default="benign", show_default=True, help="Folder, or label, of benign images.")
@click.option("--malignant", default="malignant", show_default=True, help="Folder, or label, of malignant images.")
@click.option("--patient", metavar="REGEX", help="Finds the patient in the path of a real image, such as '(P_[0-9]+)'.")
@click.option("--size", type=click.IntRange(32), help="Side in px that square images are resized to.")
@click.option("--network", "networks", multiple=True, help="Feature network; inception gives FID and KID. Repeatable.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is drawn at random.")
def assess(
    real: Path,
    synthetic: Path,
    held_out: Path | None,
    out: Path,
    benign: str,
    malignant: str,
    patient: str | None,
    size: int | None,
    networks: tuple[str, ...],
    seed: int,
) -> None:
    """Judge the images SYNTHETIC against the images REAL: how near, how various, how natural, whether copies.

    REAL and SYNTHETIC are folders of grey PNG, TIFF, JPEG or PGM files of 8 bits and one size, or .npz files: image
    sets of mammosynth, MedMNIST's form (train_images, train_labels), or arrays images or arr_0. REAL is what the
    generator was trained on. Sub-folders benign/ and malignant/ (or labels 0 and 1) say the classes; with both, label
    accuracy is measured, and probes are trained on synthetic images and tested on real ones.

    Every number stands beside what real images of other patients reach, with a 95 % interval and n. The folder OUT gets
    scorecard.html and scorecard.json.

    \b
    Examples:
      mammosynth assess real/ synthetic/
      mammosynth assess real/ synthetic/ --held-out other_real/ --patient '(P_[0-9]+)'
      mammosynth assess breastmnist.npz samples.npz --benign 1 --malignant 0 --size 128
    """
    from mammosynth.assessment import DEFAULT_NETWORKS
    from mammosynth.assessment import assess as judge
    from mammosynth.report import assessment as report

    found = judge(
        real,
        synthetic,
        held_out,
        names={"benign": benign, "malignant": malignant},
        patient=patient,
        size=size,
        networks=networks or DEFAULT_NETWORKS,
        seed=seed,
    )
    report.write(found, out)
    click.echo(_in_columns(report.table(found)))
    if found.utility is not None:
        click.echo("\n" + _in_columns(report.table_of_utility(found)))
    click.echo()
    for sentence in report.findings(found):
        click.echo(sentence)
    for warning in found.warnings:
        click.secho(f"Warning: {warning}", fg="yellow", err=True)
    for limit in found.limits:
        click.echo(f"Note: {limit}", err=True)
    click.echo(f"\n{out / 'scorecard.html'}")


def _in_columns(table) -> str:
    """A table of text with its columns aligned left."""
    rows = [list(table.columns), *table.to_numpy().tolist()]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
