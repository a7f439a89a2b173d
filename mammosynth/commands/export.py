"""``mammosynth export``: image sets for other tools."""

from pathlib import Path

import click


@click.command(short_help="Write an image set of a study as PNG files, or in MedMNIST's form.")
@click.argument("images", metavar="SET", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def export(images: Path, out: Path) -> None:
    """Write the image set SET (.npz) of a study for other tools.

    OUT that ends in .npz gets MedMNIST's form: train_images uint8 [N, height, width] and train_labels uint8 [N, 1],
    0 benign and 1 malignant. Any other OUT is a new folder: benign/ and malignant/ with a PNG of 8 bits an image, as
    study's ROIs are, and images.csv with id, pathology, patient and source of each.

    SET may be the folder of a split, with train.npz, val.npz and test.npz: all three are written, to one .npz or to
    folders train/, val/ and test/.

    \b
    Examples:
      mammosynth export results/ultrasound/fold0/synthetic/sngan/seed0.npz sngan/
      mammosynth export results/ultrasound/fold0/ ultrasound.npz
    """
    from mammosynth import exchange
    from mammosynth.errors import InputError
    from mammosynth.imageset import ImageSet
    from mammosynth.partition import PARTS

    files = {part: images / f"{part}.npz" for part in PARTS} if images.is_dir() else {"train": images}
    if missing := [file for file in files.values() if not file.is_file()]:
        raise InputError(
            f"{missing[0]} does not exist: name an image set (.npz), or the folder of a split with all three"
        )
    sets = {part: ImageSet.load(file) for part, file in files.items()}
    if out.suffix == ".npz":
        exchange.write_medmnist(sets, out)
    else:
        exchange.refuse_used(out)
        for part, own in sets.items():
            exchange.write_folder(own, out / part if images.is_dir() else out)
    for part, own in sets.items():
        counts = ", ".join(f"{len(own.of_class(name))} {name}" for name in own.classes)
        click.echo(f"{out}{f' {part}' if images.is_dir() else ''}: {counts}")
