"""``mammosynth predict``: a classifier of a study on one image."""

from pathlib import Path

import click


class Box(click.ParamType):
    """Four whole numbers x0,y0,x1,y1."""

    name = "x0,y0,x1,y1"

    def convert(self, value, param, ctx):
        try:
            x0, y0, x1, y1 = (int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value} is not x0,y0,x1,y1 in whole pixels", param, ctx)
        return x0, y0, x1, y1


@click.command(short_help="Classify a lesion in an image with a classifier of a study.")
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--box", type=Box(), help="The lesion's box in px, x1 and y1 the first beyond it; without it IMAGE is an ROI."
)
def predict(model: Path, image: Path, box: tuple[int, int, int, int] | None) -> None:
    """Say how likely the lesion in IMAGE (PNG, TIFF, JPEG, PGM or DICOM) is malignant, by the classifier MODEL (.pt).

    Beside MODEL lie its card (.md) and the limits of what it was trained on (.npz), which a study writes. An image of
    another modality, a lesion of another size and whatever does not look like the training ROIs are refused. Not for
    clinical use.

    \b
    Example:
      mammosynth predict results/mammography/fold0/classifiers/resnet18/real/seed0.pt film.dcm --box 812,1530,1104,1798
    """
    from mammosynth.prediction import predict as classify

    found = classify(model, image, box)
    click.echo(f"malignant with probability {found.probability:.2f}")
    for name, call in found.calls.items():
        click.echo(f"  called {call} at the threshold {name}")
    for sentence in found.notes:
        click.echo(sentence)
