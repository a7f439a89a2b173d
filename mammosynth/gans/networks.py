"""Generators and critics for grey images of 128×128 px.

The residual networks are those of Miyato et al. 2018 ("Spectral normalization for GANs", table 4) and Miyato & Koyama
2018 ("cGANs with projection discriminator"); WGAN-GP shares them without spectral normalisation (Gulrajani et al.
2017).  The translation networks are those of Zhu et al. 2017 (CycleGAN).  At width 64, and with one grey channel in
place of three, they have the parameters that the papers' code has.

Images are float [N, 1, 128, 128] in [−1, 1], latents float [N, 128], labels int64 [N] (0 benign, 1 malignant).

Two identities give the papers' functions for less work.  A 1×1 convolution commutes with upsampling and with average
pooling: the shortcuts are computed at the lower resolution, for a quarter of the work.  A 3×3 convolution after nearest
upsampling or before average pooling is a 4×4 convolution of stride 2, transposed or not, with the 3×3 kernel added up
at its four shifts: 16 products in place of 36, and no large map in between.
"""

import itertools
import math
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight
from torch.nn.utils.parametrizations import spectral_norm

LATENT = 128
CLASS_COUNT = 2
NOISE = 0.3  # strength of the generator's noise at the start: our choice, StyleGAN begins at 0
LARGE = 32  # px, the side from which on a map is larger than the kernels, and adding these up worth the while


def _zero_bias(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> None:
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


def _conv(inputs: int, outputs: int, size: int, spectral: bool = False) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2)
    nn.init.xavier_uniform_(conv.weight, gain=math.sqrt(2) if size == 3 else 1.0)
    _zero_bias(conv)
    if spectral:
        spectral_norm(conv)
    return conv


def _linear(inputs: int, outputs: int, spectral: bool = False) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(linear.weight)
    _zero_bias(linear)
    if spectral:
        spectral_norm(linear)
    return linear


def _added_up(weight: Tensor) -> Tensor:
    """A 3×3 kernel at its four shifts within 4×4."""
    return reduce(torch.add, [F.pad(weight, (x, 1 - x, y, 1 - y)) for x in (0, 1) for y in (0, 1)])


class _TransposedConvolution(torch.autograd.Function):
    """``F.conv_transpose2d`` with stride 2 and padding 1, with a quick gradient for the weight.

    oneDNN takes for it several times as long as for that of the convolution whose transpose this is: they are the same.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv_transpose2d(x, weight, bias, stride=2, padding=1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            F.conv2d(gradient, weight, stride=2, padding=1) if of_x else None,
            conv2d_weight(gradient, weight.shape, x, stride=2, padding=1) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
        )


def _double_and_convolve(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Height and width doubled by nearest neighbours, then a 3×3 convolution."""
    if x.shape[-1] < LARGE:
        return conv(F.interpolate(x, scale_factor=2))
    weight = _added_up(conv.weight.flip(2, 3)).transpose(0, 1)
    with torch.autocast(x.device.type, enabled=False):  # which would hide from the gradient in which precision x came
        bias = None if conv.bias is None else conv.bias.to(x.dtype)
        return _TransposedConvolution.apply(x, weight.to(x.dtype), bias)


def _convolve_and_pool(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """3×3 convolution, then the mean of 2×2 px."""
    if x.shape[-1] < LARGE:
        return F.avg_pool2d(conv(x), 2)
    return F.conv2d(x, _added_up(conv.weight) / 4, conv.bias, stride=2, padding=1)


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation whose gain and bias are learned for each class (de Vries et al. 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=2e-5, affine=False)
        self.gain = nn.Embedding(CLASS_COUNT, channels)
        self.bias = nn.Embedding(CLASS_COUNT, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        gain, bias = (of_class(labels).to(x.dtype)[:, :, None, None] for of_class in (self.gain, self.bias))
        return torch.addcmul(bias, self.norm(x), gain)


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation with the signature of its conditional sister; the labels have no effect."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=2e-5)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)


class UpBlock(nn.Module):
    """Residual block that doubles height and width, by nearest neighbours or, if *smooth*, bilinearly.

    noise: whether to add white noise to each channel, with a strength that it learns (Karras et al. 2019).
    """

    def __init__(
        self, inputs: int, outputs: int, norm: type[nn.Module], smooth: bool = False, noise: bool = False
    ) -> None:
        super().__init__()
        self.smooth, self.doubled = smooth, nn.Upsample(scale_factor=2, mode="bilinear" if smooth else "nearest")
        self.norm1, self.conv1 = norm(inputs), _conv(inputs, outputs, 3)
        self.norm2, self.conv2 = norm(outputs), _conv(outputs, outputs, 3)
        self.shortcut = _conv(inputs, outputs, 1)
        self.noise = nn.Parameter(torch.full((outputs, 1, 1), NOISE)) if noise else None

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        h = F.relu(self.norm1(x, labels))
        h = self.conv1(self.doubled(h)) if self.smooth else _double_and_convolve(h, self.conv1)
        h = self.conv2(F.relu(self.norm2(h, labels)))
        h = h + self.doubled(self.shortcut(x))
        return h if self.noise is None else h + self.noise * torch.randn(len(h), 1, *h.shape[2:], device=h.device)


class ResNetGenerator(nn.Module):
    """Latents [N, 128] and labels [N] to images [N, 1, 128, 128].

    conditioning: None (the labels have no effect), "projection" (conditional batch normalisation) or "concat" (one-hot
    labels beside the latents, Mirza & Osindero 2014); smooth: bilinear upsampling, which leaves no grid, in place of
    the papers' nearest neighbours; noise: white noise added in each block, which gives texture.
    """

    def __init__(self, width: int, conditioning: str | None = None, smooth: bool = False, noise: bool = False) -> None:
        super().__init__()
        self.width, self.conditioning = width, conditioning
        norm = ConditionalBatchNorm if conditioning == "projection" else BatchNorm
        self.first = _linear(LATENT + (CLASS_COUNT if conditioning == "concat" else 0), 16 * width * 4 * 4)
        channels = [16 * width, 16 * width, 8 * width, 4 * width, 2 * width, width]
        self.blocks = nn.ModuleList(UpBlock(a, b, norm, smooth, noise) for a, b in itertools.pairwise(channels))
        self.norm = BatchNorm(width)
        self.last = nn.Conv2d(width, 1, 3, padding=1)
        nn.init.xavier_uniform_(self.last.weight)
        _zero_bias(self.last)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        if self.conditioning == "concat":
            latents = torch.cat([latents, F.one_hot(labels, CLASS_COUNT).to(latents.dtype)], 1)
        h = self.first(latents).view(len(latents), 16 * self.width, 4, 4)
        h = h.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            h = block(h, labels)
        return torch.tanh(self.last(F.relu(self.norm(h, labels))))


class DownBlock(nn.Module):
    """Residual block of a critic; halves height and width if *down*.

    first: the block that sees the image, without an activation before its first convolution.
    """

    def __init__(self, inputs: int, outputs: int, spectral: bool, down: bool = True, first: bool = False) -> None:
        super().__init__()
        self.down, self.first = down, first
        hidden = outputs if first else inputs
        self.conv1 = _conv(inputs, hidden, 3, spectral)
        self.conv2 = _conv(hidden, outputs, 3, spectral)
        self.shortcut = _conv(inputs, outputs, 1, spectral) if down or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.conv1(x if self.first else F.relu(x)))
        if self.down:
            return _convolve_and_pool(h, self.conv2) + self.shortcut(F.avg_pool2d(x, 2))
        return self.conv2(h) + self.shortcut(x)


class ResNetCritic(nn.Module):
    """Images [N, 1, 128, 128] and labels [N] to scores [N].

    spectral: spectral normalisation of every layer; pooling: "sum" (SNGAN) or "mean" (WGAN-GP) over positions;
    conditioning: None, "projection" (inner product of features and class embedding) or "concat" (one-hot label maps
    beside the image).
    """

    def __init__(self, width: int, spectral: bool, pooling: str, conditioning: str | None = None) -> None:
        super().__init__()
        self.pooling, self.conditioning = pooling, conditioning
        inputs = 1 + (CLASS_COUNT if conditioning == "concat" else 0)
        channels = [width, 2 * width, 4 * width, 8 * width, 16 * width]
        self.blocks = nn.Sequential(
            DownBlock(inputs, width, spectral, first=True),
            *(DownBlock(a, b, spectral) for a, b in itertools.pairwise(channels)),
            DownBlock(16 * width, 16 * width, spectral, down=False),
        )
        self.last = _linear(16 * width, 1, spectral)
        if conditioning == "projection":
            embedding = nn.Embedding(CLASS_COUNT, 16 * width)
            nn.init.xavier_uniform_(embedding.weight)
            self.embedding = spectral_norm(embedding) if spectral else embedding

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        if self.conditioning == "concat":
            maps = F.one_hot(labels, CLASS_COUNT).to(images.dtype)[:, :, None, None]
            images = torch.cat([images, maps.expand(-1, -1, *images.shape[2:])], 1)
        # In bfloat16 the scores, sums over many features, would keep 8 bits: they are in the weights' precision.
        h = F.relu(self.blocks(images)).to(self.last.bias.dtype)
        with torch.autocast(h.device.type, enabled=False):
            h = h.sum((2, 3)) if self.pooling == "sum" else h.mean((2, 3))
            score = self.last(h).squeeze(1)
            if self.conditioning == "projection":
                score = score + (self.embedding(labels) * h).sum(1)
        return score


class InstanceNorm(nn.Module):
    """Each channel of each image to mean 0 and variance 1 over its positions (Ulyanov et al. 2016).

    torch's own turns channels-last maps over and back, which on a CPU costs more than the convolutions gain by them.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda:
            return F.instance_norm(x)
        return torch.cat([F.batch_norm(image, None, None, training=True) for image in x.split(1)])


def _normal_init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        _zero_bias(module)


class TranslationBlock(nn.Module):
    """Residual block of the translation generator: two reflection-padded 3×3 convolutions with instance norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm(),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class TranslationGenerator(nn.Sequential):
    """Images of one class to images of the other: c7s1-w, d2w, d4w, 6 × R4w, u2w, uw, c7s1-1 (Zhu et al. 2017).

    smooth: bilinear upsampling and a convolution, which leave no grid (Odena et al. 2016), in place of the paper's
    transposed convolution; the weights are as many.
    """

    def __init__(self, width: int, blocks: int = 6, smooth: bool = False) -> None:
        def convolution(inputs: int, outputs: int, size: int, stride: int) -> list[nn.Module]:
            conv = nn.Conv2d(inputs, outputs, size, stride, padding=1 if stride == 2 else 0)
            return [conv, InstanceNorm(), nn.ReLU(inplace=True)]

        def upscaling(inputs: int, outputs: int) -> list[nn.Module]:
            if smooth:
                conv = [nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(inputs, outputs, 3, padding=1)]
            else:
                conv = [nn.ConvTranspose2d(inputs, outputs, 3, 2, padding=1, output_padding=1)]
            return [*conv, InstanceNorm(), nn.ReLU(inplace=True)]

        super().__init__(
            nn.ReflectionPad2d(3),
            *convolution(1, width, 7, 1),
            *convolution(width, 2 * width, 3, 2),
            *convolution(2 * width, 4 * width, 3, 2),
            *(TranslationBlock(4 * width) for _ in range(blocks)),
            *upscaling(4 * width, 2 * width),
            *upscaling(2 * width, width),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, 1, 7),
            nn.Tanh(),
        )
        self.apply(_normal_init)


class PatchCritic(nn.Sequential):
    """Images to a map of scores, each of a 70×70 px patch: C w-2w-4w-8w (Isola et al. 2017)."""

    def __init__(self, width: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(1, width, 4, 2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for inputs, outputs, stride in ((width, 2 * width, 2), (2 * width, 4 * width, 2), (4 * width, 8 * width, 1)):
            conv = nn.Conv2d(inputs, outputs, 4, stride, padding=1)
            layers += [conv, InstanceNorm(), nn.LeakyReLU(0.2, inplace=True)]
        super().__init__(*layers, nn.Conv2d(8 * width, 1, 4, 1, padding=1))
        self.apply(_normal_init)
