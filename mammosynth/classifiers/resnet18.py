"""ResNet-18."""

from mammosynth.classifiers.resnet import ResNet


class ResNet18(ResNet):
    """See `mammosynth.classifiers.resnet`."""

    architecture = "resnet18"
