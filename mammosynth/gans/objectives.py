"""Adversarial losses.  Scores are float tensors of any shape; each loss is their mean, a scalar."""

from collections.abc import Callable

import torch
from torch import Tensor
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


def least_squares_critic(real: Tensor, fake: Tensor) -> Tensor:
    """½ [(D(x) − 1)² + D(G(z))²]: Mao et al. 2017, halved as Zhu et al. 2017 do."""
    return 0.5 * ((real - 1).square().mean() + fake.square().mean())


def least_squares_generator(fake: Tensor) -> Tensor:
    """(D(G(z)) − 1)²: Mao et al. 2017."""
    return (fake - 1).square().mean()
