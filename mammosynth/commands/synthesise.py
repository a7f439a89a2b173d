"""``mammosynth synthesise``: images of a trained generator."""

from pathlib import Path

import click


@click.command(short_help="Make images with a trained generator.")
@click.argument("generator", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--class", "pathology", type=click.Choice(["benign", "malignant", "both"]), default="both", show_default=True
)
@click.option("-n", "count", type=click.IntRange(1), default=100, show_default=True, help="Images of each class.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed makes other images.")
@click.option(
    "--real",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The training part (train.npz), which only generators that translate real images need: CycleGAN.",
)
def synthesise(generator: Path, out: Path, pathology: str, count: int, seed: int, real: Path | None) -> None:
    """Make images with the trained GENERATOR (.pt) of a study, in the new folder OUT: a PNG each, and images.csv.

    The PNGs have 8 bits, as the ROIs have that all generators of mammosynth learn from; more bits would hold nothing
    more. The same seed makes the same images on one machine.

    \b
    Example:
      mammosynth synthesise results/mammography/fold0/gans/sngan/seed0.pt new/ --class malignant -n 100
    """
    import numpy as np

    from mammosynth import exchange
    from mammosynth.errors import InputError
    from mammosynth.gans import METHODS
    from mammosynth.gans.training import load_generator
    from mammosynth.imageset import ImageSet

    exchange.refuse_used(out)
    gan = load_generator(generator)
    if METHODS[gan.settings.method].translates and not real:
        raise InputError(f"{generator} translates real images of the other class: name its training part by --real")
    reals = ImageSet.load(real) if real else ImageSet(np.empty((0, 0, 0)), np.empty(0), np.empty(0))
    made = gan.synthesise(count, reals, seed)
    chosen = made if pathology == "both" else made.of_class(pathology)
    exchange.write_folder(chosen, out)
    click.echo(f"{out}: {', '.join(f'{count} {name}' for name in chosen.classes)}, synthetic")
