"""ResNets (He et al. 2016; bottlenecks stride in their 3×3 convolution), their weights named as torchvision's.

torchvision takes as long to import as torch itself (benchmarks/README.md, Start-up).
"""

from torch import Tensor, nn

# Kernels of a block, channels that come out of it per channel inside, and blocks of each of the four layers.
LAYOUTS = {"resnet18": ((3, 3), 1, (2, 2, 2, 2)), "resnet50": ((1, 3, 1), 4, (3, 4, 6, 3))}


class Block(nn.Module):
    """Convolutions beside a shortcut; the first one of size 3 strides."""

    def __init__(self, kernels: tuple[int, ...], inputs: int, width: int, outputs: int, stride: int) -> None:
        super().__init__()
        channels = [inputs, *[width] * (len(kernels) - 1), outputs]
        self.depth = len(kernels)
        for i, kernel in enumerate(kernels):
            step = stride if i == kernels.index(3) else 1
            conv = nn.Conv2d(channels[i], channels[i + 1], kernel, step, padding=kernel // 2, bias=False)
            self.add_module(f"conv{i + 1}", conv)
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(channels[i + 1]))
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        for i in range(1, self.depth + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            x = (x if i < self.depth else x + shortcut).relu_()
        return x


class ResidualNetwork(nn.Module):
    """From images float [N, C, H, W] to [N, outputs]; random weights as torchvision draws them.

    width: channels of the first layer, which each of the later three doubles; published networks have 64.
    """

    def __init__(self, layout: str, channels: int = 1, outputs: int = 1, width: int = 64) -> None:
        super().__init__()
        kernels, expansion, blocks = LAYOUTS[layout]
        self.conv1 = nn.Conv2d(channels, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inputs = width
        for i, depth in enumerate(blocks):
            layer = nn.Sequential()
            inside = width * 2**i
            for j in range(depth):
                stride = 2 if i > 0 and j == 0 else 1
                layer.append(Block(kernels, inputs, inside, inside * expansion, stride))
                inputs = inside * expansion
            self.add_module(f"layer{i + 1}", layer)
        self.fc = nn.Linear(inputs, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.bn1(self.conv1(x)).relu_())
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return self.fc(x.mean((2, 3)))
