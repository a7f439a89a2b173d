"""Make torchvision importable beside a CPU-only torch.

The torchvision of the package index is built for CUDA, so that beside a CPU build of torch its compiled operators do
not load and its import stops at ``operator torchvision::nms does not exist``. Nothing here needs those operators (they
serve object detection); it is enough that their names are declared. Where torchvision imports, nothing is touched.

Use ``from mammosynth.vision import torchvision`` before anything that imports torchvision (torch_fidelity, timm).
Beside a CPU-only torch, ``torchvision.ops.nms`` and ``torchvision.io.read_image`` stay unusable: read images with PIL.
"""

import torch

try:
    import torchvision
except RuntimeError as error:  # costs 0.03 s: the import stops at its first operator
    if "torchvision::nms does not exist" not in str(error):
        raise
    # Kept alive by its name: the declarations go when the library object does.
    _declarations = torch.library.Library("torchvision", "FRAGMENT")
    _declarations.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declarations.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

__all__ = ["torchvision"]
