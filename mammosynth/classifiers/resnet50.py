"""ResNet-50."""

from mammosynth.classifiers.resnet import ResNet


class ResNet50(ResNet):
    """See `mammosynth.classifiers.resnet`."""

    architecture = "resnet50"
