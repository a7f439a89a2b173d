"""What all GANs share: their networks, and what the training loop and the synthesis ask of them."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mammosynth.adam import Adam
from mammosynth.gans import METHODS
from mammosynth.gans.augment import augment
from mammosynth.gans.objectives import LeCam, r1_penalty
from mammosynth.gans.settings import Settings
from mammosynth.gpu import has_bfloat16
from mammosynth.imageset import CLASSES, ImageSet

Losses = dict[str, dict[str, Tensor]]
R1_EVERY = 16  # critic updates of one with R1, which then weighs as much more (Karras et al. 2020, lazy regularisation)


class Reals:
    """The training ROIs on the device, drawn without end.

    Each class has its own stream of shuffled passes, so that every image is seen equally often, whatever the batch; a
    batch larger than the class holds images repeatedly.
    """

    def __init__(self, images: ImageSet, device: torch.device, flips: bool = False) -> None:
        """flips: whether to mirror each drawn image, left to right, with probability ½."""
        self.flips = flips
        self.images = torch.from_numpy(images.images)[:, None].to(device)
        self.members = [torch.from_numpy(np.flatnonzero(images.labels == label)) for label in range(len(CLASSES))]
        self.queues = [members[:0] for members in self.members]

    def draw(self, labels: Tensor) -> Tensor:
        """Real images of the classes *labels* (int64 [N], on the CPU): float [N, 1, H, W] in [−1, 1]."""
        index = torch.empty_like(labels)
        for label in range(len(CLASSES)):
            wanted = labels == label
            count = int(wanted.sum())
            while len(self.queues[label]) < count:
                order = torch.randperm(len(self.members[label]))
                self.queues[label] = torch.cat([self.queues[label], self.members[label][order]])
            index[wanted], self.queues[label] = self.queues[label][:count], self.queues[label][count:]
        images = self.images[index.to(self.images.device, non_blocking=True)].float() / 127.5 - 1
        if self.flips:
            flipped = torch.rand(len(images), 1, 1, 1).to(images.device, non_blocking=True) < 0.5
            images = torch.where(flipped, images.flip(3), images)
        return images

    def state(self) -> list[Tensor]:
        """What is still to come of each class's pass."""
        return self.queues

    def load_state(self, state: list[Tensor]) -> None:
        """Resume where ``state`` was taken."""
        self.queues = list(state)


@contextlib.contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Without gradients for the weights of *networks*, which then cost nothing in the backward pass."""
    weights = [weight for network in networks for weight in network.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def to_uint8(images: Tensor) -> np.ndarray:
    """Float [N, 1, H, W] in [−1, 1] to uint8 [N, H, W]."""
    return ((images[:, 0].float() + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()


class Gan(nn.Module):
    """Networks, optimisers and the step of one GAN.

    A subclass fills ``generators`` and ``critics`` in ``make_networks`` and implements ``step`` and ``synthesise``.
    ``average`` holds the moving average of the generators: what is saved, and what synthesises.
    """

    conditional = True  # whether one pair of networks makes both classes, or each class has its own
    betas: tuple[float, float]
    memory_format = torch.contiguous_format
    decay: float = 0.0  # the share of training, at its end, over which the learning rate falls to 0

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.generators, self.critics = nn.ModuleDict(), nn.ModuleDict()
        self.make_networks()
        self.anchors = nn.ModuleDict({name: LeCam() for name in self.critics} if settings.lecam else {})
        self.now = self.update = 0
        self.average = copy.deepcopy(self.generators).eval().requires_grad_(False)

    def make_networks(self) -> None:
        """Fill ``generators`` and ``critics``."""
        raise NotImplementedError

    def step(self, reals: Reals) -> Losses:
        """Update each generator once and its critic as often as the GAN says.

        Returns the losses as 0-d tensors on the device, by the class that a network is for ("all" if for both).
        """
        raise NotImplementedError

    def synthesise(self, per_class: int, reals: ImageSet, seed: int) -> ImageSet:
        """*per_class* images of each class from the averaged generators, the same for the same seed and machine.

        reals: the training ROIs; only GANs that translate use them.
        """
        raise NotImplementedError

    def names(self) -> Iterator[tuple[str, list[int]]]:
        """What is trained apart from the rest: its name in losses and history, and the classes that it makes."""
        if self.conditional:
            yield "all", list(range(len(CLASSES)))
        else:
            yield from ((name, [label]) for label, name in enumerate(CLASSES))

    def start(self, device: torch.device, weights: Path | None = None) -> None:
        """Move to *device* and make the optimisers.

        weights: file of the feature network that the method is trained against; only training needs it.
        """
        self.device = device
        self.to(device, memory_format=self.memory_format)  # type: ignore[call-overload]
        precision = self.settings.precision
        self.in_bfloat16 = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
        settings = self.settings
        self.generator_adam = self._adam(self.generators, settings.learning_rate)
        self.critic_adam = self._adam(self.critics, settings.critic_learning_rate or settings.learning_rate)

    def _adam(self, networks: nn.Module, rate: float) -> Adam:
        return Adam([weight for weight in networks.parameters() if weight.requires_grad], rate, self.betas)

    def autocast(self) -> torch.autocast:
        """The precision of the forward passes."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.in_bfloat16)

    def augment(self, images: Tensor) -> Tensor:
        """What a critic sees of *images* [N, 1, H, W], real or synthetic."""
        return augment(images, self.settings.diffaugment)

    def lecam(self, name: str, real: Tensor, fake: Tensor) -> Tensor | float:
        """The weighted LeCam term of critic *name*, whose scores these are; 0 where it is switched off."""
        if not self.settings.lecam:
            return 0.0
        return self.settings.lecam * self.anchors[name](real, fake, self.now, self.settings.steps)

    def r1(self, critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor | float:
        """The weighted R1 penalty of a critic at the images *real* that it saw; 0 where or while it is switched off."""
        if not self.settings.r1 or self.update % R1_EVERY:
            return 0.0
        return self.settings.r1 / 2 * R1_EVERY * r1_penalty(critic, real)

    def critic_blocks(self, critic: nn.Module) -> list[nn.Module]:
        """The blocks of a critic from the image on, as ``freeze_critic`` counts them."""
        return list(critic.get_submodule("blocks").children())

    def start_from(self, weights: dict[str, Tensor], critics: dict[str, Tensor]) -> None:
        """Begin at another training's generators and critics; freeze the critics' first blocks (Mo et al. 2020).

        Raises RuntimeError if the networks differ.
        """
        self.generators.load_state_dict(weights)
        self.average.load_state_dict(weights)
        self.critics.load_state_dict(critics)
        if self.settings.freeze_critic:
            for critic in self.critics.values():
                for block in self.critic_blocks(critic)[: self.settings.freeze_critic]:
                    block.requires_grad_(False)

    @property
    def feature_network(self) -> str | None:
        """The feature network that the method is trained against."""
        return METHODS[self.settings.method].feature_network

    def images_a_step(self) -> int:
        """Real images that the critic of one class sees in a step."""
        return self.settings.batch * self.settings.critic_steps

    def set_rate(self, step: int) -> None:
        """Set the learning rate of step *step* of 0 … steps − 1: constant, then linear; the last step is not at 0."""
        self.now, self.update = step, step * self.settings.critic_steps
        steps = self.settings.steps
        share = min(1.0, (steps - step) / (self.decay * steps)) if self.decay else 1.0
        for adam in (self.generator_adam, self.critic_adam):
            adam.rate = adam.first_rate * share

    @torch.no_grad()
    def update_average(self, step: int) -> None:
        """Move ``average`` towards the generators after step *step* (from 0).

        The half-life is at most 5 % of the images seen so far (Karras et al. 2020), so that a short training is not
        dominated by its random start; half-life 0 copies.
        """
        images = self.images_a_step()
        half_life = min(self.settings.ema_half_life, 0.05 * images * (step + 1))
        weight = 1 - 0.5 ** (images / half_life) if half_life else 1.0
        torch._foreach_lerp_(list(self.average.parameters()), list(self.generators.parameters()), weight)
        for mean, buffer in zip(self.average.buffers(), self.generators.buffers()):
            mean.copy_(buffer)

    def state(self) -> dict:
        """All that a resumed training needs of the GAN."""
        adams = (self.generator_adam.state(), self.critic_adam.state())
        return {"networks": self.state_dict(), "adams": adams}

    def load_state(self, state: dict) -> None:
        """Take up what ``state`` returned."""
        self.load_state_dict(state["networks"])
        for adam, saved in zip((self.generator_adam, self.critic_adam), state["adams"]):
            adam.load_state(saved)


def synthetic_set(
    images: Sequence[np.ndarray], labels: Sequence[int], sources: Sequence[str] | None = None
) -> ImageSet:
    """Image set of synthetic images in the order given, named ``benign-00000`` and so on."""
    counts = dict.fromkeys(range(len(CLASSES)), 0)
    ids = []
    for label in labels:
        ids.append(f"{CLASSES[label]}-{counts[label]:05d}")
        counts[label] += 1
    return ImageSet(np.stack(images), np.array(labels), np.array(ids), sources=np.array(sources or [""] * len(labels)))
