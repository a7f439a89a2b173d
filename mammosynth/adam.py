"""Adam (Kingma and Ba 2015), with decoupled weight decay (AdamW; Loshchilov and Hutter 2019) where that is wanted.

The arithmetic is torch's own fused function, so results are those of ``torch.optim.Adam`` and ``AdamW`` to the bit.
Those classes import torch's compiler, which takes about two thirds as long as torch itself (benchmarks/README.md,
Start-up).
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

EPSILON = 1e-8


class Adam:
    """The optimiser of *weights*; ``rate`` may be changed between steps, ``first_rate`` is what it began at."""

    def __init__(
        self, weights: Iterable[Tensor], rate: float, betas: tuple[float, float] = (0.9, 0.999), decay: float = 0.0
    ) -> None:
        self.weights = list(weights)
        self.first_rate = self.rate = rate
        self.betas, self.decay = betas, decay
        self.means, self.squares = ([torch.zeros_like(weight) for weight in self.weights] for _ in range(2))
        self.steps = [torch.zeros((), device=weight.device) for weight in self.weights]

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights that have a gradient."""
        slopes = {i: weight.grad for i, weight in enumerate(self.weights) if weight.grad is not None}
        moved = list(slopes)
        adam(
            [self.weights[i] for i in moved],
            list(slopes.values()),
            [self.means[i] for i in moved],
            [self.squares[i] for i in moved],
            [],
            [self.steps[i] for i in moved],
            fused=True,
            decoupled_weight_decay=True,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.rate,
            weight_decay=self.decay,
            eps=EPSILON,
            maximize=False,
        )

    def zero_grad(self) -> None:
        """Leave no gradient, so that the next ones are not added to these."""
        for weight in self.weights:
            weight.grad = None

    def state(self) -> dict[str, Any]:
        """What a resumed training needs."""
        return {"means": self.means, "squares": self.squares, "steps": self.steps}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` returned."""
        for name, values in state.items():
            for own, value in zip(getattr(self, name), values, strict=True):
                own.copy_(value)
