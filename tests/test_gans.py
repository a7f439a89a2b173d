"""The networks against their papers' sizes, the steps against their papers' order, sampling and synthesis."""

from pathlib import Path

import numpy as np
import pytest
import torch
from gans_for_tests import judged, paths, settings, started
from torch import nn

from mammosynth.errors import InputError
from mammosynth.gans import METHODS, gan_class
from mammosynth.gans.cyclegan import ImagePool
from mammosynth.gans.gan import Reals
from mammosynth.gans.networks import PatchCritic, ResNetCritic, ResNetGenerator, TranslationGenerator
from mammosynth.gans.training import load_generator, train
from mammosynth.imageset import ImageSet


@pytest.fixture
def reals() -> ImageSet:
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 3 == 0
    return ImageSet(rng.integers(0, 256, (12, 128, 128)), labels, [f"roi{i}" for i in range(12)])


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def generator_size(width: int, channels: int) -> int:
    """Weights of the residual generator by the layers' table of Miyato et al. 2018."""
    blocks = [(16, 16), (16, 8), (8, 4), (4, 2), (2, 1)]
    total = (128 + 1) * 16 * width * 4 * 4 + 2 * width + channels * (9 * width + 1)
    for a, b in ((a * width, b * width) for a, b in blocks):
        total += 2 * a + 2 * b + b * (9 * a + 1) + b * (9 * b + 1) + b * (a + 1)
    return total


def critic_size(width: int, channels: int) -> int:
    """Weights of the residual critic by the same table."""
    total = width * (9 * channels + 1) + width * (9 * width + 1) + width * (channels + 1) + 16 * width + 1
    for a, b in ((a * width, b * width) for a, b in [(1, 2), (2, 4), (4, 8), (8, 16)]):
        total += a * (9 * a + 1) + b * (9 * a + 1) + b * (a + 1)
    return total + 2 * 16 * width * (9 * 16 * width + 1)


@pytest.mark.parametrize("width", [16, 64])
def test_residual_networks_have_the_papers_sizes(width):
    assert count(ResNetGenerator(width)) == generator_size(width, channels=1)
    for spectral, pooling in ((True, "sum"), (False, "mean")):
        assert count(ResNetCritic(width, spectral, pooling)) == critic_size(width, channels=1)


def test_the_table_gives_the_published_sizes_in_colour():
    sizes = [generator_size(64, 3), critic_size(64, 3), generator_size(16, 3), critic_size(16, 3)]
    assert [round(size / 1e6, 1) for size in sizes] == [32.2, 29.0, 2.4, 1.8]


def test_translation_networks_have_the_papers_sizes():
    """The original code prints 7,837,699 (six blocks) and 2,764,737 weights for three channels in and out."""
    colour_less_grey = 2 * (2 * 49 * 64) + 2
    assert count(TranslationGenerator(64)) == 7_837_699 - colour_less_grey
    assert count(PatchCritic(64)) == 2_764_737 - 2 * 16 * 64


def test_conditional_networks_add_one_gain_and_bias_a_class_and_one_embedding():
    plain, conditional = ResNetGenerator(4), ResNetGenerator(4, "projection")
    norms = sum(2 * module.num_features for name, module in plain.named_modules() if name.endswith(("norm1", "norm2")))
    assert count(conditional) - count(plain) == norms
    critics = [ResNetCritic(4, spectral=True, pooling="sum", conditioning=c) for c in (None, "projection", "concat")]
    assert count(critics[1]) - count(critics[0]) == 2 * 64
    assert count(critics[2]) - count(critics[0]) == 2 * (9 * 4 + 4)
    assert count(ResNetGenerator(4, "concat")) - count(plain) == 2 * 16 * 4 * 16


def test_shortcuts_at_low_resolution_are_the_papers_function():
    torch.manual_seed(0)
    block = ResNetCritic(4, spectral=False, pooling="sum").blocks[1].double()
    x = torch.randn(2, 4, 16, 16, dtype=torch.double)
    main = block.conv2(torch.relu(block.conv1(torch.relu(x))))
    late = nn.functional.avg_pool2d(main + block.shortcut(x), 2)
    torch.testing.assert_close(block(x), late)


@pytest.mark.parametrize("conditioning", ["projection", "concat"])
def test_conditioned_networks_see_the_label(conditioning):
    torch.manual_seed(0)
    critic = ResNetCritic(4, spectral=True, pooling="sum", conditioning=conditioning).eval()
    images = torch.randn(1, 1, 128, 128)
    assert critic(images, torch.tensor([0])) != critic(images, torch.tensor([1]))
    generator = ResNetGenerator(4, conditioning)
    if conditioning == "projection":
        nn.init.normal_(generator.blocks[0].norm1.bias.weight)
    made = generator.eval()(torch.ones(2, 128), torch.tensor([0, 1]))
    assert not torch.equal(made[0], made[1])


def test_spectral_normalisation_bounds_every_layer_of_the_critic_and_none_of_the_generator():
    torch.manual_seed(0)
    critic = ResNetCritic(4, spectral=True, pooling="sum", conditioning="projection")
    for _ in range(50):
        critic(torch.randn(1, 1, 32, 32), torch.tensor([0]))
    critic.eval()
    layers = [m for m in critic.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) == 2 * 6 + 5 + 2
    for layer in layers:
        largest = torch.linalg.svdvals(layer.weight.flatten(1))[0]
        assert largest.item() == pytest.approx(1, abs=0.05)
    generator = ResNetGenerator(4, "projection")
    assert not any(hasattr(module, "parametrizations") for module in generator.modules())


def test_every_image_is_drawn_equally_often(reals):
    reals = Reals(reals, torch.device("cpu"))
    drawn = torch.cat([reals.draw(torch.tensor([0, 1, 0])) for _ in range(8)])
    seen = [sum(torch.equal(((d + 1) * 127.5).round().byte(), image) for d in drawn) for image in reals.images]
    benign = [seen[i] for i in reals.members[0]]
    malignant = [seen[i] for i in reals.members[1]]
    assert sorted(benign) == [2] * 8
    assert sorted(malignant) == [2] * 4


def test_a_batch_may_be_larger_than_a_class(reals):
    assert len(Reals(reals, torch.device("cpu")).draw(torch.ones(11, dtype=torch.int64))) == 11


def test_pool_gives_new_images_until_it_is_full_and_then_half_old_ones():
    torch.manual_seed(0)
    pool = ImagePool()
    first = torch.arange(50.0).view(50, 1, 1, 1)
    assert torch.equal(pool.exchange(first), first)
    later = torch.arange(100.0, 300.0).view(200, 1, 1, 1)
    given = pool.exchange(later).flatten()
    old = (given != later.flatten()).float().mean().item()
    assert 0.35 < old < 0.65
    assert len(pool.images) == 50


@pytest.mark.parametrize(
    ("method", "expected"), [("sngan", ["g", "d", "d"]), ("cgan", ["g", "d", "d"]), ("wgan_gp", ["d", "d", "g"])]
)
def test_order_of_updates(method, expected, reals):
    gan = gan_class(method)(settings(method, critic_steps=2))
    gan.start(torch.device("cpu"))
    order = []
    for name, adam in (("g", gan.generator_adam), ("d", gan.critic_adam)):
        adam.step = lambda name=name: order.append(name)
    gan.step(Reals(reals, gan.device))
    assert order == expected


@pytest.mark.parametrize(
    ("method", "betas", "decay", "generator_batches"),
    [
        ("sngan", (0.0, 0.9), 1 / 9, 2),
        ("cgan", (0.0, 0.9), 1 / 9, 2),
        ("wgan_gp", (0.0, 0.9), 0.0, 1),
        ("cyclegan", (0.5, 0.999), 0.5, None),
    ],
)
def test_optimisation_is_the_papers(method, betas, decay, generator_batches, reals):
    gan = gan_class(method)(settings(method))
    gan.start(torch.device("cpu"))
    assert [adam.betas for adam in (gan.generator_adam, gan.critic_adam)] == [betas, betas]
    assert gan.decay == pytest.approx(decay)
    if generator_batches:
        seen = []
        critic = next(iter(gan.critics.values()))
        critic.register_forward_pre_hook(lambda _, inputs: seen.append((len(inputs[0]), inputs[0].requires_grad)))
        gan.step(Reals(reals, gan.device))
        assert next(count for count, through_generator in seen if through_generator) == 2 * generator_batches


def test_loss_of_the_wasserstein_critic_by_hand():
    """A critic of slope a in every pixel: its gradient's norm is a·√pixels everywhere."""

    class Linear(nn.Module):
        def forward(self, images, labels):
            return 0.25 * images.sum((1, 2, 3))

    gan = gan_class("wgan_gp")(settings("wgan_gp"))
    gan.start(torch.device("cpu"))
    gan.critics["benign"] = Linear()
    real, fake = torch.full((3, 1, 4, 4), 0.5), torch.full((3, 1, 4, 4), -0.5)
    loss = gan.critic_loss("benign", real, fake, torch.zeros(3, dtype=torch.int64))
    assert loss.item() == pytest.approx(0.25 * 16 * (-0.5 - 0.5) + 10 * (0.25 * 4 - 1) ** 2)
    real = torch.full((3, 1, 8, 8), 0.5)
    loss = gan.critic_loss("benign", real, real, torch.zeros(3, dtype=torch.int64))
    assert loss.item() == pytest.approx(10 * (0.25 * 8 - 1) ** 2)


def test_losses_of_cyclegan_by_hand(reals):
    """Generators that halve and that negate, critics that give the mean grey value."""

    class Times(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(factor))

        def forward(self, images):
            return self.factor * images

    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(1.0))

        def forward(self, images):
            return self.weight * images.mean((1, 2, 3))

    grey = ImageSet(np.array([255, 0])[:, None, None] * np.ones((2, 128, 128)), [0, 1], ["b", "m"])
    gan = gan_class("cyclegan")(settings("cyclegan", batch=1, learning_rate=0.0))
    gan.generators["malignant"], gan.generators["benign"] = Times(0.5), Times(-1.0)
    gan.critics["malignant"], gan.critics["benign"] = Mean(), Mean()
    gan.start(torch.device("cpu"))
    losses = {key: value.item() for key, value in gan.step(Reals(grey, gan.device))["all"].items()}
    # benign is 1, malignant −1 everywhere; so malignant′ = ½, its way back −½; benign′ = 1, its way back ½.
    cycle = abs(-0.5 - 1) + abs(0.5 - -1)
    identity = abs(-0.5 - -1) + abs(-1 - 1)
    adversarial = (0.5 - 1) ** 2 + (1 - 1) ** 2
    assert losses["cycle_loss"] == pytest.approx(cycle)
    assert losses["identity_loss"] == pytest.approx(identity)
    assert losses["g_loss"] == pytest.approx(adversarial + 10 * cycle + 5 * identity)
    critic_of_malignant = 0.5 * ((-1 - 1) ** 2 + 0.5**2)
    critic_of_benign = 0.5 * ((1 - 1) ** 2 + 1**2)
    assert losses["d_loss"] == pytest.approx(critic_of_malignant + critic_of_benign)


def test_scores_keep_float32_under_autocast():
    critic = ResNetCritic(4, spectral=True, pooling="sum", conditioning="projection")
    with torch.autocast("cpu", torch.bfloat16):
        assert critic(torch.randn(2, 1, 128, 128), torch.tensor([0, 1])).dtype == torch.float32


@pytest.mark.parametrize("method", METHODS)
def test_each_update_moves_its_own_networks_only(method, reals):
    gan = started(settings(method))
    moved = []

    def watched(adam, own: nn.Module, other: nn.Module):
        update = adam.step

        def step():
            before = [[p.detach().clone() for p in networks.parameters()] for networks in (own, other)]
            update()
            same = [[torch.equal(a, b) for a, b in zip(was, of.parameters())] for was, of in zip(before, (own, other))]
            moved.append((not all(same[0]), not all(same[1])))

        return step

    gan.generator_adam.step = watched(gan.generator_adam, gan.generators, gan.critics)
    gan.critic_adam.step = watched(gan.critic_adam, gan.critics, gan.generators)
    losses = gan.step(Reals(reals, gan.device))
    assert all(torch.isfinite(value) for values in losses.values() for value in values.values())
    assert set(moved) == {(True, False)}
    assert len(moved) >= 2


def test_learning_rate_falls_linearly_and_never_to_zero():
    gan = gan_class("cyclegan")(settings("cyclegan", steps=10, critic_learning_rate=8e-4))
    gan.start(torch.device("cpu"))
    rates, expected = [], [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]
    for step in range(10):
        gan.set_rate(step)
        rates.append([adam.rate / 2e-4 for adam in (gan.generator_adam, gan.critic_adam)])
    assert np.transpose(rates) == pytest.approx(np.array([expected, [4 * rate for rate in expected]]))


def test_moving_average_has_its_half_life():
    gan = gan_class("sngan")(settings("sngan", ema_half_life=8, batch=4))
    gan.start(torch.device("cpu"))
    for mean, weight in zip(gan.average.parameters(), gan.generators.parameters()):
        nn.init.zeros_(mean)
        nn.init.ones_(weight)
    for _ in range(2):
        gan.update_average(step=1_000_000)
    assert next(gan.average.parameters()).flatten()[0].item() == pytest.approx(0.5)


def test_noise_gives_one_latent_many_textures_and_each_block_one_strength_a_channel():
    torch.manual_seed(0)
    generator = ResNetGenerator(4, noise=True).eval()
    assert count(generator) - count(ResNetGenerator(4)) == 4 * (16 + 8 + 4 + 2 + 1)
    latents, labels = torch.ones(2, 128), torch.zeros(2, dtype=torch.int64)
    made = generator(latents, labels)
    assert not torch.equal(made[0], made[1])
    for block in generator.blocks:
        nn.init.zeros_(block.noise)
    made = generator(latents, labels)
    assert torch.equal(made[0], made[1])
    gan = gan_class("sngan")(settings("sngan", noise=True))
    gan.start(torch.device("cpu"))
    first, again = (gan.synthesise(2, None, seed=1).images for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("method", METHODS)
def test_synthesis_is_balanced_and_repeats_itself(method, reals, tmp_path):
    train(reals, settings(method, learning_rate=0.01), 0, **paths(tmp_path), **judged(method))
    gan = load_generator(tmp_path / "g.pt")
    first, again, other = (gan.synthesise(5, reals, seed) for seed in (1, 1, 2))
    assert np.bincount(first.labels).tolist() == [5, 5]
    assert len(set(first.ids)) == 10
    assert np.array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)


def test_translations_keep_their_sources(reals, tmp_path):
    train(reals, settings("cyclegan"), 0, **paths(tmp_path))
    made = load_generator(tmp_path / "g.pt").synthesise(6, reals, seed=0)
    benign, malignant = set(reals.of_class("benign").ids), set(reals.of_class("malignant").ids)
    assert set(made.of_class("malignant").sources) <= benign
    assert set(made.of_class("benign").sources) == malignant
    again = made.of_class("benign")
    first = np.flatnonzero(again.sources == again.sources[4])
    assert not np.array_equal(again.images[first[0]], again.images[first[1]])


def test_history_and_progress_are_written(reals, tmp_path):
    train(reals, settings("sngan", steps=4), 0, **paths(tmp_path))
    lines = (tmp_path / "g.csv").read_text().splitlines()
    columns = "step,images,seconds,images_per_second,class,learning_rate,g_loss,d_loss,d_gradient,g_gradient"
    assert lines[0] == columns
    assert len(lines) == 1 + 4 * 2
    assert (tmp_path / "g.png").stat().st_size > 1000
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_class_without_images_is_refused(reals, tmp_path):
    with pytest.raises(InputError, match="no malignant ROI"):
        train(reals.of_class("benign"), settings("sngan"), 0, **paths(tmp_path))


def test_losses_that_are_no_numbers_end_the_training(reals, tmp_path):
    with pytest.raises(InputError, match=r"step 1: wgan_gp has diverged.*lower learning_rate"):
        train(reals, settings("wgan_gp", learning_rate=1e30), 0, **paths(tmp_path))


def test_what_is_no_generator_is_refused(tmp_path):
    torch.save({"a": Path()}, tmp_path / "foreign.pt")  # what torch would advise to load with weights_only=False
    foreign = (tmp_path / "foreign.pt").read_bytes()
    for content in (b"not a generator", b"", foreign, foreign[: len(foreign) // 2]):
        (tmp_path / "g.pt").write_bytes(content)
        with pytest.raises(InputError, match=r"g\.pt is not a generator of mammosynth, or not whole: delete") as error:
            load_generator(tmp_path / "g.pt")
        assert "weights_only" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "change"),
    [("settings", {"a_later_option": 1}), ("settings", {"method": "a_later_gan"}), ("weights", {"a_later_layer": 1})],
    ids=["option", "method", "layer"],
)
def test_a_generator_of_a_version_with_other_networks_is_refused(key, change, reals, tmp_path):
    train(reals, settings("sngan", steps=1), 0, **paths(tmp_path))
    content = torch.load(tmp_path / "g.pt", weights_only=True)
    torch.save(content | {"version": "9.0", key: content[key] | change}, tmp_path / "g.pt")
    with pytest.raises(InputError, match=r"g\.pt was trained by mammosynth 9\.0 .*delete it to train it again"):
        load_generator(tmp_path / "g.pt")
