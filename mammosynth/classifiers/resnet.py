"""Residual networks (He et al. 2016) for one grey channel and one logit; torchvision's, by names, weights and results.

torchvision takes as long to import as torch itself (benchmarks/README.md, Start-up). As there, a bottleneck has its
stride in the 3×3 convolution.
"""

from torch import Tensor, nn


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


class Block(nn.Module):
    """What two or three convolutions find, added to what comes in."""

    expansion: int

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.make_layers(inputs, width, stride)
        outputs = self.expansion * width
        self.downsample = (
            nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
            if stride > 1 or inputs != outputs
            else None
        )

    def make_layers(self, inputs: int, width: int, stride: int) -> None:
        """Fill in the convolutions and their batch normalisations."""
        raise NotImplementedError

    def residual(self, x: Tensor) -> Tensor:
        """What is added."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return (self.residual(x) + (x if self.downsample is None else self.downsample(x))).relu_()


class BasicBlock(Block):
    """Two 3×3 convolutions."""

    expansion = 1

    def make_layers(self, inputs: int, width: int, stride: int) -> None:
        self.conv1, self.bn1 = _conv(inputs, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3), nn.BatchNorm2d(width)

    def residual(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_()))


class Bottleneck(Block):
    """A 3×3 convolution of fewer channels between two 1×1 convolutions."""

    expansion = 4

    def make_layers(self, inputs: int, width: int, stride: int) -> None:
        self.conv1, self.bn1 = _conv(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = _conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)

    def residual(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).relu_()
        return self.bn3(self.conv3(self.bn2(self.conv2(x)).relu_()))


class ResNet(nn.Module):
    """Images [N, 1, H, W] to logits [N, 1]; blocks: their number at each of four resolutions."""

    def __init__(self, block: type[Block], blocks: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = _conv(1, 64, 7, 2)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inputs = 64
        for level, count in enumerate(blocks):
            width, layer = 64 * 2**level, nn.Sequential()
            for index in range(count):
                layer.append(block(inputs, width, 2 if level and not index else 1))
                inputs = block.expansion * width
            setattr(self, f"layer{level + 1}", layer)
        self.fc = nn.Linear(inputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.maxpool(self.bn1(self.conv1(images)).relu_())
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


# By architecture: its block, and how many at each resolution.
ARCHITECTURES = {"resnet18": (BasicBlock, (2, 2, 2, 2)), "resnet50": (Bottleneck, (3, 4, 6, 3))}
