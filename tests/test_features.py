"""Features of one image are its own, on every extractor; files that are not weights are not run."""

import pickle

import numpy as np
import pytest
import torch
from quality_for_tests import parameter_file, real_rois, textures

from mammosynth.arrays.distances import frechet_distance, kernel_distance, prdc
from mammosynth.errors import InputError
from mammosynth.networks import NETWORKS, dinov2, efficientnet_lite0, frozen
from mammosynth.networks.features import BATCH, features
from mammosynth.networks.squeezenet import squeezenet

SHIPPED = ("efficientnet_lite0", "squeezenet")


@pytest.mark.parametrize("extractor", SHIPPED)
def test_order_and_batch_do_not_matter(extractor):
    images = textures(BATCH + 3)
    weights = parameter_file(extractor)
    found = features(images, extractor, weights)
    assert found.shape == (len(images), NETWORKS[extractor].dimension)
    assert found.dtype == np.float32
    order = np.random.default_rng(0).permutation(len(images))[:5]
    assert features(images[order], extractor, weights) == pytest.approx(found[order], abs=1e-4)


@pytest.mark.parametrize("extractor", [*SHIPPED, "dinov2", "inception"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_weights_that_are_cut_are_one_sentence(extractor, share, tmp_path):
    content = parameter_file("squeezenet" if extractor == "squeezenet" else "efficientnet_lite0").read_bytes()
    file = tmp_path / extractor
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=rf"{extractor} is not a file of .* weights, or not whole: delete it") as error:
        features(textures(1), extractor, file)
    assert "weights_only" not in str(error.value)


@pytest.mark.parametrize("images", [textures, real_rois])
def test_distances_rise_with_noise_and_blur_and_collapse(images):
    real, other = images(48)[::2], images(48)[1::2]
    noise = np.random.default_rng(0).normal(size=other.shape)
    changed = {
        "none": other,
        "little noise": np.clip(other + 8 * noise, 0, 255).astype(np.uint8),
        "much noise": np.clip(other + 40 * noise, 0, 255).astype(np.uint8),
        "little blur": _blurred(other, 3),
        "much blur": _blurred(other, 6),
        "collapse": np.repeat(other[:4], 6, axis=0),
    }
    weights = parameter_file("squeezenet")
    reference = features(real, "squeezenet", weights)
    found = {name: features(x, "squeezenet", weights) for name, x in changed.items()}
    for distance in (frechet_distance, kernel_distance):
        value = {name: distance(reference, x) for name, x in found.items()}
        assert value["none"] < value["little noise"] < value["much noise"], distance
        assert value["none"] < value["little blur"] < value["much blur"], distance
        assert value["none"] < value["collapse"], distance
    none, collapse = (prdc(reference, found[name]) for name in ("none", "collapse"))
    assert collapse["recall"] < none["recall"] / 2
    assert collapse["coverage"] < none["coverage"]


def _blurred(images, width):
    from scipy.ndimage import uniform_filter

    return np.stack([uniform_filter(image, width) for image in images])


def random_efficientnet():
    """With batch normalisations that do something."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(layer.running_var, 0.5, 2)
            torch.nn.init.uniform_(layer.weight, 0.5, 2)
    return network.eval()


@pytest.mark.parametrize(
    ("change", "layer"),
    [(frozen.folded, torch.nn.BatchNorm2d), (efficientnet_lite0.without_copies, torch.nn.ZeroPad2d)],
)
def test_a_quicker_network_has_the_same_features(change, layer):
    network = random_efficientnet()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = network.extract_features(images)
        assert any(isinstance(part, layer) for part in network.modules())
        quicker = change(network)
        assert not any(isinstance(part, layer) for part in quicker.modules())
        torch.testing.assert_close(quicker.extract_features(images), before, rtol=1e-3, atol=1e-4)


def test_squeezenet_is_torchvisions():
    from mammosynth.vision import torchvision

    network = squeezenet(parameter_file("squeezenet"))
    theirs = torchvision.models.squeezenet1_1().features.eval()
    layers = [layer for layer in theirs.modules() if isinstance(layer, torch.nn.Conv2d)]
    ours = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    for layer, our in zip(layers, ours, strict=True):
        layer.load_state_dict(our.state_dict())
    images = torch.randn(2, 3, 96, 80, generator=torch.Generator().manual_seed(0)) * 60
    with torch.inference_mode():
        torch.testing.assert_close(network(images), theirs(images))


def test_inception_is_torch_fidelitys_own(tmp_path, monkeypatch):
    """With random weights, as the real ones are in no package."""
    import mammosynth.vision  # noqa: F401  isort: skip  (before torch_fidelity)
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    with monkeypatch.context() as patch:
        patch.setattr(theirs, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patch.setattr(theirs.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = theirs.FeatureExtractorInceptionV3("any", ["2048"])
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(layer.running_var, 0.5, 2)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    images = textures(2)
    found = features(images, "inception", tmp_path / "weights.pth")
    expected = network(torch.from_numpy(images)[:, None].expand(-1, 3, -1, -1))[0]
    assert found == pytest.approx(expected.numpy(), abs=1e-6)
    assert np.ptp(found) > 0.1


def test_dinov2_is_loaded_from_its_file_and_sees_224_px(tmp_path):
    """With random weights under the names and in the shapes of the published file."""
    import mammosynth.vision  # noqa: F401  isort: skip  (before timm)
    import timm

    published = timm.create_model("vit_small_patch14_dinov2", num_classes=0).eval()  # at 518 px: 37 × 37 patches
    state = published.state_dict()
    assert sum(array.numel() for array in state.values()) + 384 == 22_056_576  # the published file has 88.3 MB
    assert state["pos_embed"].shape == (1, 1 + 37**2, 384)
    y, x = np.indices((37, 37))
    state["pos_embed"][0, 1:, :2] = torch.from_numpy(np.stack([y, x], 2).reshape(-1, 2)).float()
    for name in state:
        if name.endswith("gamma"):
            state[name].fill_(1)  # else blocks at random do next to nothing
    torch.save(state | {"mask_token": torch.zeros(1, 384)}, tmp_path / "weights.pth")
    images = textures(3)
    found = features(images, "dinov2", tmp_path / "weights.pth")
    assert found.shape == (3, 384)
    assert features(images[2:], "dinov2", tmp_path / "weights.pth") == pytest.approx(found[2:], abs=1e-4)
    assert np.abs(found[0] - found[1]).max() > 1e-3
    grid = dinov2.resampled(state["pos_embed"])[0, 1:, :2].reshape(16, 16, 2).numpy()
    inner = np.arange(2, 14)
    expected = (inner + 0.5) * 37 / 16.1 - 0.5  # of patches' centres; with a ratio of 16 the last is 0.2 more
    assert grid[inner, 5, 0] == pytest.approx(expected, abs=0.06)  # how far the cubic is from the line
    assert grid[5, inner, 1] == pytest.approx(expected, abs=0.06)


def test_only_inception_gives_fid_and_kid():
    names = {name: [NETWORKS[name].measure(m) for m in ("FD", "KD", "floor/FD", "recall")] for name in NETWORKS}
    assert names["inception"] == ["FID", "KID", "floor/FID", "recall (Inception 2015-12-05)"]
    assert names["squeezenet"][:2] == ["FD (SqueezeNet 1.1)", "KD (SqueezeNet 1.1)"]
    assert names["efficientnet_lite0"][2] == "floor/FD (EfficientNet-Lite0)"


class _Trap:
    def __reduce__(self):
        return print, ("a pickle ran code",)


def test_a_pickle_that_holds_more_than_arrays_is_refused(tmp_path, capsys):
    (tmp_path / "weights").write_bytes(pickle.dumps({"conv1": [_Trap()]}))
    with pytest.raises(InputError, match="is not a file of SqueezeNet") as error:
        features(textures(1), "squeezenet", tmp_path / "weights")
    assert "no part of a numpy array" in str(error.value.__cause__)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("images", [np.zeros((2, 128, 128)), np.zeros((2, 128, 128, 3), np.uint8)])
def test_images_of_another_kind_are_refused(images, tmp_path):
    with pytest.raises(ValueError, match="uint8"):
        features(images, "squeezenet", tmp_path / "unread")
