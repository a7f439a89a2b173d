"""``mammosynth init``: a study file to begin with."""

import shlex
from pathlib import Path

import click

from mammosynth.commands.workflow import command, snakefile

NAME = "study.yaml"
# Without a GPU: one GAN, and classifiers of frozen features, in about an hour on two cores.
ON_CPU = """\
# Without a GPU: the GAN that learns the most in a short time, and classifiers of frozen features, which take seconds.
# docs/gans.md and docs/classifiers.md have the others.
generators:
  projected_gan: {width: 16, steps: 1000, batch: 16, evaluate_every: 100}
gans: [projected_gan]
classify_with: [probe, probe_squeezenet]
mixes: [real, projected_gan, real+projected_gan, real@2, real+classic]
"""
ON_GPU = """\
# With a GPU: all GANs, and a ResNet-18 for each mix of real and synthetic ROIs.
generators:
  wgan_gp: {width: 16, steps: 10000, batch: 16, evaluate_every: 500}
  cyclegan: {width: 32, steps: 20000, evaluate_every: 500}
  cgan: {width: 16, steps: 10000, batch: 16, evaluate_every: 500}
  sngan: {width: 16, steps: 10000, batch: 16, evaluate_every: 500}
  projected_gan: {width: 16, steps: 10000, batch: 16, evaluate_every: 500}
gans: [wgan_gp, cyclegan, cgan, sngan, projected_gan]
classifiers:
  resnet18: {width: 64, learning_rate: 0.0005, steps: 2000, batch: 32, evaluate_every: 100}
classify_with: [resnet18]
"""
ROIS = """\
    # Folders of each class below root, and the patient in a file's name.
    benign: "benign"
    malignant: "malignant"
    # patient: "(P[0-9]+)"
"""
MINE = """\
  mine:
    reader: {reader}
    modality: {modality}
    root: {root}
"""
PUBLIC = """\
  # Its reader and modality, and the list of its images that are left out where there is one, are in config.yaml.
  {reader}:
    root: {root}
"""
STUDY = """\
# A study of mammosynth. Each key that is left out here has the value of the default study; docs/configuration.md has
# all keys.

sources:
{source}
databases: [{name}]
# An entry of sources that nothing is trained on, to test on another hospital's patients:
# external: [theirs]

# Patients are split into five folds. One fold gives a first answer; all of them, and several seeds, give intervals that
# cover the chance of training.
partition: {{folds: 5, seed: 0}}
folds: [0]
seeds: [0]

{sizes}"""


def _reader(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """One of the package's readers, whose list takes longer to import than help may."""
    from mammosynth.databases.readers import READERS

    if value not in READERS:
        raise click.BadParameter(f"{value} is not one of {', '.join(READERS)}")
    return value


@click.command(short_help="Begin a study of your own: write its study file.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--root", prompt="Folder of your images", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--reader",
    prompt="Reader: table for your own lesions.csv, rois for ready-made ROIs, or a public database's, such as busi",
    default="table",
    callback=_reader,
    help="How the images are listed: table, rois, or a database's (docs/readers.md).",
)
@click.option(
    "--modality", type=click.Choice(["ultrasound", "mammography"]), help="Asked for, but of a public database."
)
@click.option("--gpu/--no-gpu", prompt="Is there a GPU", default=False, help="Sizes of the trainings.")
def init(folder: Path, root: Path, reader: str, modality: str | None, gpu: bool) -> None:
    """Write FOLDER/study.yaml, a commented study file, from a few answers, or from options.

    Results will lie in FOLDER, too. Then look at the ROIs, which trains nothing: mammosynth check FOLDER/study.yaml

    \b
    Examples:
      mammosynth init my_study/
      mammosynth init my_study/ --root /data/scans --reader table --modality ultrasound --no-gpu
    """
    import yaml

    from mammosynth import exchange
    from mammosynth.errors import InputError

    study = folder / NAME
    exchange.refuse_used(study)
    known = yaml.safe_load((snakefile().parent / "config.yaml").read_text(encoding="utf-8"))["sources"]
    public = known[reader]["modality"] if reader in known else None
    if public and modality not in (None, public):
        raise InputError(
            f"--modality {modality}: {reader} is of {public}: leave out the option, or name another reader"
        )
    modality = public or modality or click.prompt("Modality", type=click.Choice(["ultrasound", "mammography"]))
    source = (PUBLIC if public else MINE).format(
        reader=reader, modality=modality, root=yaml.safe_dump(str(root.resolve()), width=10**6).splitlines()[0]
    )
    text = STUDY.format(
        source=source + (ROIS if reader == "rois" else ""),
        name=reader if public else "mine",
        sizes=ON_GPU if gpu else ON_CPU,
    )
    folder.mkdir(parents=True, exist_ok=True)
    study.write_text(text, encoding="utf-8")
    call = shlex.join(["snakemake", *command(study, "--cores", "all")])
    click.echo(f"{study} is written. Edit it as you like, then:\n")
    click.echo(f"  mammosynth check {shlex.quote(str(study))}    # reads the data, trains nothing")
    click.echo(f"  {call} --dry-run    # shows what would run")
    click.echo(f"  {call}    # runs the study")
