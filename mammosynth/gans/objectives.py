"""Adversarial losses and what regularises critics.  Scores are float tensors of any shape; each loss is a scalar."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    """max(0, 1 − D(x)) + max(0, 1 + D(G(z))): Lim & Ye 2017, Miyato et al. 2018 eq. 16."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """D(G(z)) − D(x): Arjovsky et al. 2017, without the penalty."""
    return fake.mean() - real.mean()


def linear_generator(fake: Tensor) -> Tensor:
    """−D(G(z)): the generator's loss beside both of the above."""
    return -fake.mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """(‖∇D(x̂)‖₂ − 1)² at x̂ = x + α(G(z) − x), α ~ U(0, 1) for each image: Gulrajani et al. 2017 eq. 3, without λ.

    real, fake: [N, …] of one shape; the penalty is the mean over N, and can be differentiated by the critic's weights.
    """
    alpha = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    between = (real + alpha * (fake - real)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.float().flatten(1).norm(dim=1) - 1).square().mean()


def r1_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """‖∇D(x)‖² at real images x [N, …], the mean over N: Mescheder et al. 2018 eq. 9, without γ/2.

    Of a critic that gives an image several scores the gradient is that of their mean.
    """
    real = real.detach().requires_grad_()
    scores = critic(real)
    (gradient,) = torch.autograd.grad(scores.reshape(len(scores), -1).mean(1).sum(), real, create_graph=True)
    return gradient.float().flatten(1).square().sum(1).mean()


class LeCam(nn.Module):
    """E (D(x) − αF)² + E (D(G(z)) − αR)² with moving averages αR of D(x) and αF of D(G(z)): Tseng et al. 2021 eq. 5.

    As in the paper's code the averages move by 0.01 an update, and the term enters after a warm-up of 1,000 steps; a
    training of fewer than 10,000 steps has a warm-up of a tenth of them, so that the term is never left out of one.
    """

    DECAY, WARM_UP = 0.99, 1000
    averages: Tensor
    updates: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("averages", torch.zeros(2))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, real: Tensor, fake: Tensor, step: int, steps: int) -> Tensor:
        """The term, without its weight, for the critic's scores of any shape at step *step* (from 0) of *steps*."""
        with torch.no_grad():
            now = torch.stack([real.mean(), fake.mean()]).float()
            self.averages.lerp_(now, torch.where(self.updates == 0, 1.0, 1 - self.DECAY))
            self.updates += 1
        real_average, fake_average = self.averages.clone()
        term = (real - fake_average).square().mean() + (fake - real_average).square().mean()
        return term * float(step >= min(self.WARM_UP, steps // 10))


def least_squares_critic(real: Tensor, fake: Tensor) -> Tensor:
    """½ [(D(x) − 1)² + D(G(z))²]: Mao et al. 2017, halved as Zhu et al. 2017 do."""
    return 0.5 * ((real - 1).square().mean() + fake.square().mean())


def least_squares_generator(fake: Tensor) -> Tensor:
    """(D(G(z)) − 1)²: Mao et al. 2017."""
    return (fake - 1).square().mean()
