"""Trainings that begin at another one's networks."""

from pathlib import Path

import pytest
import torch
from gans_for_tests import few_reals, paths, same, settings, started
from quality_for_tests import image_set
from torch import nn

from mammosynth.checkpoint import fingerprint, write
from mammosynth.errors import InputError
from mammosynth.gans import METHODS, gan_class
from mammosynth.gans.gan import Reals, frozen
from mammosynth.gans.training import train
from mammosynth.gans.transfer import Origin


def origin(folder: Path, method: str, **changes) -> Path:
    """The file of a generator of another seed, as training writes it."""
    gan = started(settings(method, **changes), seed=1)
    with torch.no_grad():
        for weight in gan.average.parameters():  # which is not the generator that it is the average of
            weight.mul_(1.01)
    path = folder / f"{method}.pt"
    content = {
        "weights": gan.average.state_dict(),
        "critics": gan.critics.state_dict(),
        "settings": gan.settings.flat(),
        "fingerprint": f"of {path}",
        "ids": few_reals().ids.tolist(),
    }
    write(content, path)
    return path


def learnable(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


@pytest.mark.parametrize("method", METHODS)
def test_training_begins_at_the_others_averaged_generator_and_critic(method, tmp_path):
    path = origin(tmp_path, method)
    content = torch.load(path)
    gan = gan_class(method)(settings(method))
    assert not same(gan.generators.state_dict(), content["weights"])
    Origin(path, None).transfer(gan)
    assert same(gan.generators.state_dict(), content["weights"])
    assert same(gan.average.state_dict(), content["weights"])
    assert same(gan.critics.state_dict(), content["critics"])
    assert all(weight.requires_grad for weight in gan.generators.parameters())


def test_a_generator_that_training_wrote_can_be_started_from(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    reals = image_set(3, 3, seed=2)
    train(reals, settings("cgan", steps=1), 0, **paths(tmp_path / "first"))
    start = tmp_path / "first/g.pt"
    chosen = settings("cgan", steps=1, start_from=str(start), learning_rate=1e-12)
    train(few_reals(), chosen, 0, **paths(tmp_path / "second"), start_from=start)
    first, second = (torch.load(tmp_path / name / "g.pt") for name in ("first", "second"))
    for key in ("weights", "critics"):
        moved = [name for name in first[key] if not torch.allclose(first[key][name].float(), second[key][name].float())]
        assert all("running" in name or "num_batches" in name or "_u" in name or "_v" in name for name in moved)
    assert second["ids"] == [*few_reals().ids, *reals.ids]


@pytest.mark.parametrize("method", [name for name in METHODS if "freeze_critic" in METHODS[name].takes])
def test_frozen_blocks_stay_to_the_bit_and_all_others_learn(method, tmp_path):
    gan = gan_class(method)(settings(method, freeze_critic=2, learning_rate=0.01))
    Origin(origin(tmp_path, method), None).transfer(gan)
    gan.start(torch.device("cpu"))
    gan.set_rate(0)
    before = learnable(gan.critics)

    gan.step(Reals(few_reals(), gan.device))
    for name, critic in gan.critics.items():
        blocks = gan.critic_blocks(critic)
        first = {id(weight) for block in blocks[:2] for weight in block.parameters()}
        assert first
        for key, weight in critic.named_parameters():
            if id(weight) in first or weight.dim() > 1:  # what biases gain by reals they may lose by fakes
                assert torch.equal(weight, before[f"{name}.{key}"]) == (id(weight) in first), key


def test_the_first_block_is_the_one_that_sees_the_image():
    for method in ("sngan", "cyclegan", "wgan_gp"):
        gan = started(settings(method))
        for critic in gan.critics.values():
            first = next(module for module in gan.critic_blocks(critic)[0].modules() if isinstance(module, nn.Conv2d))
            assert first.in_channels == 1


@pytest.mark.parametrize("method", ["sngan", "cyclegan"])
def test_a_critic_with_nothing_left_to_learn_is_refused(method, tmp_path):
    blocks = {"sngan": 6, "cyclegan": 5}[method]
    path = origin(tmp_path, method)
    for freeze in (blocks, 99):
        with pytest.raises(InputError, match=f"freeze_critic: {freeze} of the {blocks} .* freeze {blocks - 1} at most"):
            Origin(path, None).transfer(gan_class(method)(settings(method, freeze_critic=freeze)))


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (("sngan", {"width": 8}), "width 8 and 4"),
        (("wgan_gp", {}), "method wgan_gp and sngan"),
        (("cyclegan", {}), "method cyclegan and sngan"),
        (("projected_gan", {"width": 8}), "method projected_gan and sngan, width 8 and 4"),
    ],
)
def test_other_networks_are_refused_by_what_differs(of, message, tmp_path):
    path = origin(tmp_path, of[0], **of[1])
    with pytest.raises(InputError, match=rf"start_from.*{of[0]}\.pt.*{message}"):
        Origin(path, None).transfer(gan_class("sngan")(settings("sngan")))


def test_another_conditioning_is_refused(tmp_path):
    path = origin(tmp_path, "cgan", conditioning="concat")
    with pytest.raises(InputError, match="conditioning concat and projection"):
        Origin(path, None).transfer(gan_class("cgan")(settings("cgan")))


def partition(folder: Path, parts: dict[str, str]) -> Path:
    path = folder / "partition.csv"
    path.write_text("lesion_id,patient,part\n" + "".join(f"{key},p,{part}\n" for key, part in parts.items()))
    return path


@pytest.mark.parametrize("part", ["val", "test"])
def test_an_origin_that_saw_a_held_out_roi_is_refused(part, tmp_path):
    path, reals = origin(tmp_path, "sngan"), few_reals()
    parts = dict.fromkeys(reals.ids, "train")
    Origin(path, partition(tmp_path, parts))
    with pytest.raises(InputError, match=rf"sngan\.pt was trained on 1 ROIs.*{reals.ids[2]} is one.*the same fold"):
        Origin(path, partition(tmp_path, parts | {reals.ids[2]: part}))


def test_what_an_origins_origin_saw_counts(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    start = origin(tmp_path, "sngan")
    reals = image_set(2, 2, seed=3)
    train(reals, settings("sngan", steps=1), 0, **paths(tmp_path / "second"), start_from=start)
    held_out = partition(tmp_path, {few_reals().ids[0]: "test"})
    with pytest.raises(InputError, match="was trained on 1 ROIs"):
        Origin(tmp_path / "second/g.pt", held_out)


@pytest.mark.parametrize("content", [{"weights": {}}, [1, 2], {"settings": {}, "fingerprint": "x"}])
def test_a_file_that_is_no_generator_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"other\.pt is not a generator of mammosynth"):
        Origin(tmp_path / "other.pt", None)


def test_another_origin_is_another_training():
    reals = few_reals()
    keys = {
        fingerprint(["mammosynth.gans.sngan"], settings("sngan").flat(), 0, reals, *origin)
        for origin in ((), ("one",), ("other",))
    }
    assert len(keys) == 3


def test_frozen_restores_only_what_could_learn():

    gan = started(settings("sngan"))
    gan.critics["benign"].blocks[0].requires_grad_(False)
    before = [weight.requires_grad for weight in gan.critics.parameters()]
    with frozen(gan.critics):
        assert not any(weight.requires_grad for weight in gan.critics.parameters())
    assert [weight.requires_grad for weight in gan.critics.parameters()] == before
