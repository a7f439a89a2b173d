"""How long a training job takes to its first step: imports, networks, the first evaluation, pictures.

    python -m benchmarks.startup --train train.npz --validation val.npz --parameters results/parameters

from the repository's root. Each run is a process of its own, the GANs in turn, and begins as a job of the workflow
does: with what Snakemake imports for a script. The sizes are those of the default study, whose config.yaml is read.
"""

import argparse
import contextlib
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import yaml

from mammosynth.gans.settings import Settings, resolve

CONFIG = Path(__file__).parents[1] / "config.yaml"


class FirstStep(Exception):
    """The training came so far."""


def start(settings: Settings, train: Path, validation: Path, parameters: Path, begun: float, results) -> None:
    """Begin a training; puts (CPU seconds, seconds by the clock) from the process's start to its first step."""
    import snakemake.script  # noqa: F401  (whose objects a script is given)

    from mammosynth.gans import gan_class
    from mammosynth.gans.training import train as train_gan
    from mammosynth.imageset import ImageSet

    def step(gan, reals):
        results.put((time.process_time(), time.time() - begun))
        raise FirstStep

    gan_class(settings.method).step = step
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, name) for name in ("generator", "history", "progress", "checkpoint")}
        with contextlib.suppress(FirstStep):
            train_gan(
                ImageSet.load(train),
                settings,
                seed=0,
                **files,
                validation=ImageSet.load(validation),
                extractor="squeezenet",
                parameters={name: parameters / name for name in ("squeezenet", "efficientnet_lite0")},
            )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="image set of a training part")
    parser.add_argument("--validation", type=Path, required=True, help="image set of its validation part")
    parser.add_argument("--parameters", type=Path, required=True, help="folder of the parameter files")
    parser.add_argument("--gans", nargs="+", default=["sngan", "projected_gan"], help="names in config.yaml")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    generators = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["generators"]
    settings = {name: Settings.of(resolve(name, generators[name])) for name in arguments.gans}
    fresh = multiprocessing.get_context("spawn")
    results = fresh.Queue()
    found = {name: [] for name in settings}
    for _ in range(arguments.rounds):
        for name, of in settings.items():
            files = arguments.train, arguments.validation, arguments.parameters
            child = fresh.Process(target=start, args=(of, *files, time.time(), results))
            child.start()
            found[name].append(results.get())
            child.join()
    for name, runs in found.items():
        for kind, seconds in zip(("CPU", "clock"), zip(*runs)):
            spread = f"{min(seconds):.1f}–{max(seconds):.1f}"
            print(f"{name:14} {kind:6} {statistics.median(seconds):5.1f} s ({spread} of {len(seconds)})")


if __name__ == "__main__":
    main()
