"""The GANs as public reference code writes them: what ``gan_step.py`` measures ours against.

Same networks, losses, optimisers and draws as ``mammosynth.gans``, written plainly: float32, contiguous tensors, real
and fake images in separate passes, fake images made with a graph that is then thrown away, gradients of the critic
computed in the generator's step and dropped, shortcuts at full resolution, spectral normalisation as torch has it, Adam
and the moving average as loops over tensors.  Where a method's published code does better, so does this: CycleGAN's
freezes the critics in the generators' step.

The networks list their layers in the order of ours, so that ``same_weights`` can copy one state to the other.
"""

import copy
import itertools

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from mammosynth.gans.fast_networks import FastBlock, FastGenerator
from mammosynth.gans.fastgan import FastCritic
from mammosynth.gans.gan import Gan, Losses, Reals, frozen
from mammosynth.gans.projected_gan import ProjectedCritic
from mammosynth.gans.settings import Settings
from mammosynth.imageset import CLASSES
from mammosynth.networks.efficientnet_lite0 import BLOCKS

LATENT = 128


class ClassBatchNorm(nn.Module):
    """Batch normalisation with a gain and a bias a class."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=2e-5, affine=False)
        self.gain, self.bias = nn.Embedding(2, channels), nn.Embedding(2, channels)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        gain, bias = self.gain(labels), self.bias(labels)
        return self.norm(x) * gain[:, :, None, None] + bias[:, :, None, None]


class PlainBatchNorm(nn.BatchNorm2d):
    """Batch normalisation that takes, and ignores, labels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=2e-5)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return super().forward(x)


class GeneratorBlock(nn.Module):
    """Norm, ReLU, upsampling, 3×3, norm, ReLU, 3×3, beside upsampling and 1×1."""

    def __init__(self, inputs: int, outputs: int, norm: type[nn.Module]) -> None:
        super().__init__()
        self.norm1 = norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        h = F.relu(self.norm1(x, labels))
        h = self.conv1(F.interpolate(h, scale_factor=2))
        h = self.conv2(F.relu(self.norm2(h, labels)))
        return h + self.shortcut(F.interpolate(x, scale_factor=2))


class Generator(nn.Module):
    """Latents [N, 128] and labels [N] to images [N, 1, 128, 128]."""

    def __init__(self, width: int, conditional: bool) -> None:
        super().__init__()
        channels = [16 * width, 16 * width, 8 * width, 4 * width, 2 * width, width]
        norm = ClassBatchNorm if conditional else PlainBatchNorm
        self.first = nn.Linear(LATENT, channels[0] * 4 * 4)
        self.blocks = nn.ModuleList(GeneratorBlock(a, b, norm) for a, b in itertools.pairwise(channels))
        self.norm = PlainBatchNorm(width)
        self.last = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        h = self.first(latents).view(len(latents), -1, 4, 4)
        for block in self.blocks:
            h = block(h, labels)
        return torch.tanh(self.last(F.relu(self.norm(h, labels))))


class FirstCriticBlock(nn.Module):
    """3×3, ReLU, 3×3, pooling, beside pooling and 1×1."""

    def __init__(self, inputs: int, outputs: int, wrap) -> None:
        super().__init__()
        self.conv1 = wrap(nn.Conv2d(inputs, outputs, 3, padding=1))
        self.conv2 = wrap(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.shortcut = wrap(nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(x)))
        return F.avg_pool2d(h, 2) + self.shortcut(F.avg_pool2d(x, 2))


class CriticBlock(nn.Module):
    """ReLU, 3×3, ReLU, 3×3, beside 1×1; both pooled if *down*."""

    def __init__(self, inputs: int, outputs: int, wrap, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = wrap(nn.Conv2d(inputs, inputs, 3, padding=1))
        self.conv2 = wrap(nn.Conv2d(inputs, outputs, 3, padding=1))
        if down:
            self.shortcut = wrap(nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(F.relu(x))))
        if not self.down:
            return h + x
        return F.avg_pool2d(h, 2) + F.avg_pool2d(self.shortcut(x), 2)


class Critic(nn.Module):
    """Images [N, 1, 128, 128] and labels [N] to scores [N]."""

    def __init__(self, width: int, spectral: bool, conditional: bool, pooling: str) -> None:
        super().__init__()
        self.pooling = pooling
        wrap = spectral_norm if spectral else nn.Identity()
        channels = [width, 2 * width, 4 * width, 8 * width, 16 * width]
        self.blocks = nn.Sequential(
            FirstCriticBlock(1, width, wrap),
            *(CriticBlock(a, b, wrap, down=True) for a, b in itertools.pairwise(channels)),
            CriticBlock(16 * width, 16 * width, wrap, down=False),
        )
        self.last = wrap(nn.Linear(16 * width, 1))
        self.embedding = wrap(nn.Embedding(2, 16 * width)) if conditional else None

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        h = F.relu(self.blocks(images))
        h = h.sum((2, 3)) if self.pooling == "sum" else h.mean((2, 3))
        score = self.last(h).squeeze(1)
        if self.embedding is not None:
            score = score + (self.embedding(labels) * h).sum(1)
        return score


class ResidualBlock(nn.Module):
    """Two reflection-padded 3×3 convolutions with instance normalisation, beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def translation_generator(width: int) -> nn.Module:
    """CycleGAN's generator with six residual blocks."""
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(1, width, 7), nn.InstanceNorm2d(width), nn.ReLU(True)]
    for a, b in ((width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.InstanceNorm2d(b), nn.ReLU(True)]
    layers += [ResidualBlock(4 * width) for _ in range(6)]
    for a, b in ((4 * width, 2 * width), (2 * width, width)):
        up = nn.ConvTranspose2d(a, b, 3, stride=2, padding=1, output_padding=1)
        layers += [up, nn.InstanceNorm2d(b), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 1, 7), nn.Tanh())


def patch_critic(width: int) -> nn.Module:
    """CycleGAN's critic of 70×70 px patches."""
    layers = [nn.Conv2d(1, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, True)]
    for a, b, stride in ((width, 2 * width, 2), (2 * width, 4 * width, 2), (4 * width, 8 * width, 1)):
        layers += [nn.Conv2d(a, b, 4, stride=stride, padding=1), nn.InstanceNorm2d(b), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, padding=1))


def same_weights(source: nn.Module, target: nn.Module) -> None:
    """Give *target* the parameters and buffers of *source*, whose layers come in the same order."""
    values, places = list(source.state_dict().values()), target.state_dict()
    assert [v.shape for v in values] == [p.shape for p in places.values()], "the networks differ"
    target.load_state_dict(dict(zip(places, values)))


class Textbook:
    """What the plain GANs share: the weights of one of ours, Adam and the moving average."""

    def __init__(self, gan: Gan) -> None:
        """gan: one of ours, started; its weights and settings are taken over."""
        self.settings, self.device = gan.settings, gan.device
        self.generators, self.critics = self.networks(gan.settings)
        for name in self.generators:
            same_weights(gan.generators[name], self.generators[name])
            same_weights(gan.critics[name], self.critics[name])
        self.generators.to(gan.device)
        self.critics.to(gan.device)
        self.average = copy.deepcopy(self.generators)
        rate, betas = gan.settings.learning_rate, gan.betas
        self.generator_adam = torch.optim.Adam(self.generators.parameters(), rate, betas)
        self.critic_adam = torch.optim.Adam(self.critics.parameters(), rate, betas)

    def networks(self, settings: Settings) -> tuple[nn.ModuleDict, nn.ModuleDict]:
        """Generators and critics by name."""
        raise NotImplementedError

    def step(self, reals: Reals) -> Losses:
        """One step, with the losses that ours returns."""
        raise NotImplementedError

    @torch.no_grad()
    def update_average(self, weight: float) -> None:
        """Move the average towards the generators by *weight*."""
        for mean, value in zip(self.average.parameters(), self.generators.parameters()):
            mean.mul_(1 - weight).add_(value, alpha=weight)
        for mean, value in zip(self.average.buffers(), self.generators.buffers()):
            mean.copy_(value)


class NoiseTextbook(Textbook):
    """A generator of noise and a critic, a pair for each class or one for both."""

    conditional = False
    spectral, pooling = True, "sum"
    generator_first, generator_batches = True, 2

    def networks(self, settings: Settings) -> tuple[nn.ModuleDict, nn.ModuleDict]:
        self.names = {"all": [0, 1]} if self.conditional else {name: [label] for label, name in enumerate(CLASSES)}
        generators = {name: Generator(settings.width, self.conditional) for name in self.names}
        critics = {name: Critic(settings.width, self.spectral, self.conditional, self.pooling) for name in self.names}
        return nn.ModuleDict(generators), nn.ModuleDict(critics)

    def fakes(self, name: str, labels: Tensor) -> Tensor:
        """Images of *labels*, with their graph."""
        return self.generators[name](torch.randn(len(labels), LATENT, device=self.device), labels)

    def critic_loss(self, critic: nn.Module, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        """Hinge loss."""
        real_loss = F.relu(1 - critic(real, labels)).mean()
        fake_loss = F.relu(1 + critic(fake, labels)).mean()
        return real_loss + fake_loss

    def step(self, reals: Reals) -> Losses:
        losses = {name: {} for name in self.names}
        critic_steps = self.settings.critic_steps * ["critic"]
        for update in ["generator", *critic_steps] if self.generator_first else [*critic_steps, "generator"]:
            if update == "generator":
                self.generator_step(losses)
            else:
                self.critic_step(losses, reals)
        return losses

    def generator_step(self, losses: Losses) -> None:
        """Update the generators."""
        self.generator_adam.zero_grad()
        for name, classes in self.names.items():
            count = self.generator_batches * self.settings.batch
            labels = torch.tensor(classes).repeat(count)[:count].to(self.device)
            loss = -self.critics[name](self.fakes(name, labels), labels).mean()
            loss.backward()
            losses[name]["g_loss"] = loss.detach()
        self.generator_adam.step()

    def critic_step(self, losses: Losses, reals: Reals) -> None:
        """Update the critics."""
        self.critic_adam.zero_grad()
        for name, classes in self.names.items():
            labels = torch.tensor(classes).repeat(self.settings.batch)[: self.settings.batch]
            real, labels = reals.draw(labels), labels.to(self.device)
            fake = self.fakes(name, labels).detach()
            loss = self.critic_loss(self.critics[name], real, fake, labels)
            loss.backward()
            losses[name]["d_loss"] = loss.detach()
        self.critic_adam.step()


class Sngan(NoiseTextbook):
    """Miyato et al. 2018."""


class Cgan(NoiseTextbook):
    """Miyato & Koyama 2018."""

    conditional = True


class WganGp(NoiseTextbook):
    """Gulrajani et al. 2017."""

    spectral, pooling = False, "mean"
    generator_first, generator_batches = False, 1

    def critic_loss(self, critic: nn.Module, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        loss = critic(fake, labels).mean() - critic(real, labels).mean()
        alpha = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = (alpha * fake + (1 - alpha) * real).requires_grad_()
        scores = critic(between, labels)
        (gradient,) = torch.autograd.grad(scores, between, torch.ones_like(scores), create_graph=True)
        return loss + 10 * ((gradient.view(len(real), -1).norm(2, dim=1) - 1) ** 2).mean()


class PlainFastBlock(FastBlock):
    """With the gated linear unit as torch has it."""

    def forward(self, x: Tensor) -> Tensor:
        return F.glu(self.norm(self.conv(self.upsample(x))), 1)


class PlainFastGenerator(FastGenerator):
    """In contiguous tensors."""

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        latents = F.normalize(latents, dim=1) * LATENT**0.5
        h4 = F.glu(self.norm((self.first(latents) + self.classes(labels)).view(len(latents), -1, 4, 4)), 1)
        h8 = self.blocks[0](h4)
        h64 = self.gates[0](h4, self.blocks[3](self.blocks[2](self.blocks[1](h8))))
        h128 = self.gates[1](h8, self.blocks[4](h64))
        level, contrast = self.tone(h4.flatten(1))[:, :, None, None, None].unbind(1)
        return torch.tanh(self.last(h128) * contrast.exp() + level)


class FastGan(NoiseTextbook):
    """Liu et al. 2021."""

    conditional = True
    generator_first, generator_batches = False, 1

    def networks(self, settings: Settings) -> tuple[nn.ModuleDict, nn.ModuleDict]:
        self.names = {"all": [0, 1]}
        networks = PlainFastGenerator(settings.width), FastCritic(settings.width)
        for module in itertools.chain.from_iterable(network.modules() for network in networks):
            if isinstance(module, FastBlock):
                module.__class__ = PlainFastBlock
        return tuple(nn.ModuleDict({"all": network}) for network in networks)

    def critic_loss(self, critic: nn.Module, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        fine, coarse = critic.features(real)
        hinge = F.relu(1 - critic.judge(coarse, labels)).mean() + F.relu(1 + critic(fake, labels)).mean()
        return hinge + critic.reconstruction(real, fine, coarse)


class ProjectedGan(Textbook):
    """The critic looks twice at synthetic images: for its own update, and anew, augmented anew, for the generator's.

    Unlike the others it has bfloat16, channels-last tensors and fused Adam, as had the script that ours grew from; its
    backbone is the library's, as it is.
    """

    def __init__(self, gan: Gan) -> None:
        super().__init__(gan)
        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(gan.weights, weights_only=True))
        self.backbone = network.eval().requires_grad_(False).to(gan.device, memory_format=torch.channels_last)
        heads = [weight for weight in self.critics.parameters() if weight.requires_grad]
        self.generator_adam, self.critic_adam = (
            torch.optim.Adam(weights, gan.settings.learning_rate, gan.betas, fused=True)
            for weights in (self.generators.parameters(), heads)
        )
        self.autocast = gan.autocast

    def networks(self, settings: Settings) -> tuple[nn.ModuleDict, nn.ModuleDict]:
        generator = FastGenerator(settings.width)
        for block in generator.blocks:
            block.__class__ = PlainFastBlock
        both = nn.ModuleDict({"all": generator}), nn.ModuleDict({"all": ProjectedCritic(settings.batch)})
        return tuple(networks.to(memory_format=torch.channels_last) for networks in both)

    def augment(self, images: Tensor) -> Tensor:
        """Shifts, an image at a time."""
        padded, shifts = F.pad(images, [16] * 4, mode="reflect"), torch.randint(0, 33, (len(images), 2)).tolist()
        return torch.stack([image[:, y : y + 128, x : x + 128] for image, (y, x) in zip(padded, shifts)])

    def scores(self, images: Tensor, labels: Tensor) -> Tensor:
        """Scores of augmented images."""
        x = images.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last) * (127.5 / 128) + 0.5 / 128
        x, found = F.relu6(self.backbone._bn0(self.backbone._conv_stem(x))), []
        for index, block in enumerate(self.backbone._blocks):
            x = block(x)
            if index in BLOCKS:
                found.append(x)
        critic = self.critics["all"]
        return critic(critic.see(found, images), labels)

    def step(self, reals: Reals) -> Losses:
        labels = torch.arange(2).repeat(self.settings.batch // 2)
        real, labels = reals.draw(labels), labels.to(self.device)
        with self.autocast():
            fake = self.generators["all"](torch.randn(len(labels), LATENT, device=self.device), labels).float()
            scores = self.scores(self.augment(torch.cat([real, fake.detach()])), labels.repeat(2))
        real_scores, fake_scores = scores.chunk(2)
        critic_loss = F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()
        self.critic_adam.zero_grad()
        critic_loss.backward()
        self.critic_adam.step()
        with frozen(self.critics):
            with self.autocast():
                generator_loss = -self.scores(self.augment(fake), labels).mean()
            self.generator_adam.zero_grad()
            generator_loss.backward()
        self.generator_adam.step()
        return {"all": {"d_loss": critic_loss.detach(), "g_loss": generator_loss.detach()}}


class CycleGan(Textbook):
    """Zhu et al. 2017."""

    def networks(self, settings: Settings) -> tuple[nn.ModuleDict, nn.ModuleDict]:
        self.pools = {name: [] for name in CLASSES}
        generators = {name: translation_generator(settings.width) for name in CLASSES}
        critics = {name: patch_critic(settings.width) for name in CLASSES}
        return nn.ModuleDict(generators), nn.ModuleDict(critics)

    def query(self, name: str, images: Tensor) -> Tensor:
        """Images of the pool of 50 earlier translations, or new ones."""
        pool, chosen = self.pools[name], []
        for image in images:
            if len(pool) < 50:
                pool.append(image.clone())
                chosen.append(image)
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(50, ()))
                chosen.append(pool[place])
                pool[place] = image.clone()
            else:
                chosen.append(image)
        return torch.stack(chosen)

    def step(self, reals: Reals) -> Losses:
        real = {name: reals.draw(torch.full((self.settings.batch,), label)) for label, name in enumerate(CLASSES)}
        benign, malignant = CLASSES

        self.critics.requires_grad_(False)
        fake = {malignant: self.generators[malignant](real[benign]), benign: self.generators[benign](real[malignant])}
        back = {benign: self.generators[benign](fake[malignant]), malignant: self.generators[malignant](fake[benign])}
        same = {name: self.generators[name](real[name]) for name in CLASSES}
        identity = sum(F.l1_loss(same[name], real[name]) for name in CLASSES)
        cycle = sum(F.l1_loss(back[name], real[name]) for name in CLASSES)
        scores = [self.critics[name](fake[name]) for name in CLASSES]
        adversarial = sum(F.mse_loss(score, torch.ones_like(score)) for score in scores)
        g_loss = adversarial + 10 * cycle + 5 * identity
        self.generator_adam.zero_grad()
        g_loss.backward()
        self.generator_adam.step()

        self.critics.requires_grad_(True)
        self.critic_adam.zero_grad()
        d_loss = 0
        for name in CLASSES:
            old = self.query(name, fake[name].detach())
            on_real, on_fake = self.critics[name](real[name]), self.critics[name](old)
            loss = F.mse_loss(on_real, torch.ones_like(on_real)) + F.mse_loss(on_fake, torch.zeros_like(on_fake))
            (0.5 * loss).backward()
            d_loss = d_loss + 0.5 * loss.detach()
        self.critic_adam.step()
        losses = {"d_loss": d_loss, "g_loss": g_loss, "cycle_loss": cycle, "identity_loss": identity}
        return {"all": {name: loss.detach() for name, loss in losses.items()}}
