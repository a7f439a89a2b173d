"""How long a training step of each GAN takes, against a plain textbook implementation of the same.

    OMP_NUM_THREADS=1 python -m benchmarks.gan_step

from the repository's root.  Both implementations begin at the same weights and take their steps in turn, so that what
else the machine does hits both; the ratio is that of each pair of steps.  A step is that of the training loop: all
networks (a pair for each class, where a GAN has one), the optimisers and the moving average.

``--losses`` compares what they compute instead: the losses of both over 20 steps from the same weights and draws.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks import textbook
from mammosynth.gans import gan_class
from mammosynth.gans.gan import Gan, Losses, Reals
from mammosynth.gans.settings import Settings
from mammosynth.imageset import ImageSet


@dataclass(frozen=True)
class Case:
    """A GAN to measure: its textbook version, its width and batch, and the least ratio hoped for on a CPU."""

    textbook: type[textbook.Textbook]
    width: int
    batch: int
    target: float


CASES = {
    "sngan": Case(textbook.Sngan, 16, 8, 2.5),
    "wgan_gp": Case(textbook.WganGp, 16, 8, 2.2),
    "cgan": Case(textbook.Cgan, 16, 8, 2.5),
    "cyclegan": Case(textbook.CycleGan, 32, 2, 1.7),
    "fastgan": Case(textbook.FastGan, 16, 16, 1.5),
}
# Against the script that it grew from; --weights gives the file of EfficientNet-Lite0.
PROJECTED = {"projected_gan": Case(textbook.ProjectedGan, 16, 16, 1.5)}
ALL = CASES | PROJECTED
WARM_UP = 2  # steps of each before the clock starts
# What the losses of 20 steps are compared in; the second shows what one rounding, of the first weights alone, comes to.
PRECISIONS = {
    "float32": {"precision": "float32"},
    "rounded at the start": {"precision": "float32", "rounded": True},
    "bfloat16": {"precision": "bfloat16"},
}
AVERAGE = 0.01  # weight of the moving average's update in the textbook's step


def noise_images(count: int = 64) -> ImageSet:
    """ROIs of noise, half of each class: a step takes as long with them as with others."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 128, 128))
    return ImageSet(pixels, np.arange(count) % 2, [f"noise-{i}" for i in range(count)])


def pair(
    method: str,
    width: int,
    batch: int,
    device: torch.device,
    precision: str,
    learning_rate: float = 2e-4,
    weights: Path | None = None,
    seed: int = 0,
) -> tuple[Gan, textbook.Textbook, tuple[Reals, Reals]]:
    """Ours and the textbook's GAN with the same weights, and for each its own stream of the same images."""
    torch.manual_seed(seed)
    diffaugment = ("translation",) if method in PROJECTED else ()
    settings = Settings(method, width, 1000, batch, learning_rate, precision=precision, diffaugment=diffaugment)
    gan = gan_class(method)(settings)
    gan.start(device, weights)
    gan.weights = weights
    images = noise_images()
    return gan, ALL[method].textbook(gan), (Reals(images, device), Reals(images, device))


def our_step(gan: Gan, reals: Reals, step: int = 0) -> Losses:
    """A step as in the training loop."""
    gan.set_rate(step)
    losses = gan.step(reals)
    gan.update_average(step)
    return losses


def textbook_step(gan: textbook.Textbook, reals: Reals) -> Losses:
    """A step with all that ours does."""
    losses = gan.step(reals)
    gan.update_average(AVERAGE)
    return losses


def timed(work: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Seconds of the process's CPU time and of the clock."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.process_time() - cpu, time.perf_counter() - wall


def clock(device: torch.device) -> int:
    """Which of the seconds of ``timed`` to compare: on a CPU the process's own, which others disturb less."""
    return 1 if device.type == "cuda" else 0


def ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """Measured FLOP/s of a large matrix product."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    a @ b
    return 2 * side**3 / min(timed(lambda: a @ b, device)[clock(device)] for _ in range(10))


class FlopCounter(TorchDispatchMode):
    """Counts the floating-point operations of convolutions and matrix products, second derivatives included.

    ``FlopCounterMode`` of torch cannot count within ``torch.autograd.grad``.
    """

    total = 0

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        result = operation(*arguments, **(options or {}))
        if count := flop_registry.get(operation._overloadpacket):
            self.total += count(*arguments, **(options or {}), out_val=result)
        return result


def flop(work: Callable[[], object]) -> int:
    """Floating-point operations of the convolutions and matrix products in *work*."""
    with FlopCounter() as counter:
        work()
    return counter.total


def measure(
    method: str, width: int, batch: int, pairs: int, device: torch.device, weights: Path | None = None
) -> dict[str, float]:
    """Medians and spreads of *pairs* alternating steps."""
    gan, plain, (reals, plain_reals) = pair(method, width, batch, device, "auto", weights=weights)
    steps = {"ours": lambda: our_step(gan, reals), "textbook": lambda: textbook_step(plain, plain_reals)}
    for step in steps.values():
        for _ in range(WARM_UP):
            step()
    seconds = {name: [] for name in steps}
    for index in range(pairs):
        for name in sorted(steps, reverse=bool(index % 2)):
            seconds[name].append(timed(steps[name], device))
    which = clock(device)
    ratios = sorted(b[which] / a[which] for a, b in zip(seconds["ours"], seconds["textbook"]))
    return {
        **{name: statistics.median(s[which] for s in found) for name, found in seconds.items()},
        "ratio_min": ratios[0],
        "ratio": statistics.median(ratios),
        "ratio_max": ratios[-1],
        "bfloat16": gan.in_bfloat16,
        **{f"{name}_flop": flop(step) for name, step in steps.items()},
    }


def loss_differences(
    method: str,
    width: int,
    batch: int,
    device: torch.device,
    precision: str,
    steps: int = 20,
    *,
    seed: int = 0,
    rounded: bool = False,
) -> Iterator[tuple[str, float, float]]:
    """Each loss's name, its mean absolute value in the textbook's steps, and the largest difference of ours from it.

    rounded: whether our weights begin rounded to bfloat16, to see what as little as that comes to.
    """
    gan, plain, (reals, plain_reals) = pair(method, width, batch, device, precision, seed=seed)
    if rounded:
        with torch.no_grad():
            for weight in (*gan.generators.parameters(), *gan.critics.parameters()):
                weight.copy_(weight.bfloat16())
    found = []
    for work in (lambda: our_step(gan, reals), lambda: textbook_step(plain, plain_reals)):
        torch.manual_seed(1)
        losses = [work() for _ in range(steps)]
        names = [(name, key) for name in losses[0] for key in sorted(losses[0][name])]
        found.append(np.array([[float(step[name][key]) for name, key in names] for step in losses]))
    for index, (name, key) in enumerate(names):
        ours, theirs = found[0][:, index], found[1][:, index]
        yield f"{key} of {name}", np.abs(theirs).mean(), np.abs(ours - theirs).max()


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=ALL, default=list(CASES))
    parser.add_argument("--weights", type=Path, help="of EfficientNet-Lite0, for projected_gan")
    parser.add_argument("--width", type=int, help="of all GANs; default: 16, CycleGAN 32")
    parser.add_argument("--batch", type=int, help="of all GANs; default: 8, CycleGAN 2, FastGAN and projected GAN 16")
    parser.add_argument("--pairs", type=int, default=10, help="steps of each (default: %(default)s)")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--losses", action="store_true", help="compare the losses of 20 steps, and no time")
    parser.add_argument("--starts", type=int, default=1, help="random starts of --losses (default: %(default)s)")
    arguments = parser.parse_args()
    device = arguments.device
    print(f"{_name(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    sizes = {
        method: (arguments.width or case.width, arguments.batch or case.batch)
        for method, case in ALL.items()
        if method in arguments.methods
    }
    if arguments.losses:
        _print_losses(sizes, device, arguments.starts)
    else:
        _print_times(sizes, arguments.pairs, device, arguments.weights)


def _print_losses(sizes: dict[str, tuple[int, int]], device: torch.device, starts: int) -> None:
    print(f"largest difference in 20 steps: median and greatest of {starts} starts")
    print(f"{'loss':<39}mean |textbook|" + "".join(f"{name:>22}" for name in PRECISIONS))
    for method, size in sizes.items():
        found = {
            name: [list(loss_differences(method, *size, device, **how, seed=seed)) for seed in range(starts)]
            for name, how in PRECISIONS.items()
        }
        for index, (name, _, _) in enumerate(found["float32"][0]):
            scale = statistics.mean(start[index][1] for start in found["float32"])
            line = f"{method + ', ' + name:<39}{scale:>15.4f}"
            for runs in found.values():
                largest = [start[index][2] for start in runs]
                line += f"{statistics.median(largest):>11.2g}{max(largest):>11.2g}"
            print(line, flush=True)


def _print_times(sizes: dict[str, tuple[int, int]], pairs: int, device: torch.device, weights: Path | None) -> None:
    tops = {dtype: ceiling(device, dtype) for dtype in (torch.float32, torch.bfloat16)}
    print("matrix product: " + ", ".join(f"{top / 1e9:,.0f} GFLOP/s in {str(t)[6:]}" for t, top in tops.items()))
    print(f"{'':14}width batch  s a step: textbook   ours  ratio (min–max of {pairs})  target  GFLOP  share of ceiling")
    for method, (width, batch) in sizes.items():
        found = measure(method, width, batch, pairs, device, weights)
        top = tops[torch.bfloat16 if found["bfloat16"] else torch.float32]
        print(
            f"{method:14}{width:5}{batch:6}{found['textbook']:19.3f}{found['ours']:8.3f}"
            f"{found['ratio']:7.2f} ({found['ratio_min']:.2f}–{found['ratio_max']:.2f})"
            f"{ALL[method].target:15}{found['textbook_flop'] / 1e9:8.1f} → {found['ours_flop'] / 1e9:.1f}"
            f"{found['ours_flop'] / found['ours'] / top:9.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
