"""Quality of synthetic images: fidelity, similarity and naturalness, each beside what real images reach."""

# Feature networks as measures and sentences spell them.
TITLES = {
    "efficientnet_lite0": "EfficientNet-Lite0",
    "squeezenet": "SqueezeNet 1.1",
    "dinov2": "DINOv2 ViT-S/14",
    "inception": "Inception 2015-12-05",
}
