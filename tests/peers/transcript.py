"""Write tests/fixtures/transcript_{smooth,image,cifar10_paper,celeba64_paper}.safetensors: one iteration of
dual-MCMC teaching, number by number, from fixed weights, batch and noise.

    python tests/peers/transcript.py
    python tests/peers/transcript.py --float32    (writes nothing: how far float32 is from the committed files)

PyTorch in float64, stored as F32; the weights, the batch and the noise are exact in both. The networks and
their parameter names follow docs/model-format.md, with what only training has added here. trainer/tests/
transcript.rs compares. The smooth transcript is to be followed as a whole (1e-4 of each tensor's norm), the
image one phase by phase, each phase from the inputs recorded here (1e-3).

THE ITERATION (number t, update order G, I, E; * = recorded):
  x^ = g(z)*;  x~ = x-chain from x^ *;  z0 = mu + exp(logvar/2) eps *;  z~ = z-chain from z0 towards the batch *
  generator: lambda_data mean_b |g(z~) - x|^2 + lambda_ebm mean_b |g(z) - x~|^2, then Adam
  encoder:   lambda_data NLL(z~; q(.|x)) + lambda_inf NLL(z; q(.|x~)), then Adam, where
             NLL = mean_b sum_d [ logvar/2 + (z - mu)^2 / (2 (1e-6 + exp logvar)) ]
  energy:    ( mean E(x) - mean E(x~') + l2 mean_b( E(x)^2 + E(x~')^2 ) ) / T,  T = (noise/step_size)^2, then Adam
Adam: betas (0, 0.9), eps 1e-8, weight decay of G and I coupled (added to the gradient inside Adam, so it is not
in the gradients recorded here), fresh state. Chains: z-chain drift on |g(z) - x|^2 / sigma^2 + |z|^2 / 2.

THE NOISE, all of one seed, row i for sample i of the batch (dual_mcmc::noise):
  z               Stream::Prior,       step t
  eps             Stream::Encoder,     step t
  x-chain         Stream::XChain,      first_step t * K_x
  z-chain         Stream::ZChain,      first_step t * K_z
  fresh x-chain   Stream::FreshXChain, first_step t * K_x

TENSORS
  batch, z, x_hat, x_tilde, z_0, z_tilde
  x_chain.energies [K_x + 1, B], z_chain.errors [K_z + 1, B]: energies, and |g(z) - x|^2, of the state before each
      step and at the end
  before.ROLE.PARAMETER     weights at the start (ROLE: energy, generator, encoder; PARAMETER as "0.weight")
  generator.loss_data, .loss_ebm (without their lambdas), .loss (with them), all [1];
  encoder.loss_data, .loss_inf, .loss likewise
  generator.gradient.PARAMETER, encoder.gradient.PARAMETER; after.generator.PARAMETER, after.encoder.PARAMETER
  The energy's update once for each VARIANT, each from the same weights:
      chain     negatives x~, l2 = 0                    fresh      x-chain from the updated generator's g(z), l2 = 0
      chain_l2  negatives x~, l2 as in the settings     generator  the updated generator's g(z), l2 = 0
    energy.VARIANT.start (fresh only: the chain's start), .negatives, .energy_data [B], .energy_negative [B],
    energy.VARIANT.loss_gap (mean E(x) - mean E(x~')), .loss_l2 (without its weight), .loss (divided by T), all [1]
    energy.VARIANT.gradient.PARAMETER, energy.VARIANT.after.PARAMETER
  smooth only, `second.…`: iteration t + 1 with its own batch, after variant `chain_l2`, Adam's state kept; names as above,
      the energy's update as second.energy.chain_l2.…; second.before.… is after.… of the first iteration
METADATA `settings`: JSON with networks, seed, iteration t, K, step sizes, noises, sigma, lambdas, rates, decays, l2.

WHAT THE IMAGE TRANSCRIPT ADDS
  Spectral norm on every weight of the energy: before.energy.I.weight is the raw weight, reshaped to out x rest,
    and spectral.I.u the recorded vector. Once, at the iteration's start: v = W'u/|W'u|, u = Wv/|Wv| (norms at least
    1e-12): spectral.I.v_after, spectral.I.u_after, sigma = u'Wv as spectral.I.sigma. The network uses W / sigma. In the
    energy's gradient sigma is differentiated, u and v are constants. Biases are not normalised.
  Batch norm in the generator: `batch_norm` stands where docs/model-format.md would have scale_shift, with
    before.generator.I.weight (gamma) and .bias (beta), eps 1e-5, biased variance. Batch statistics, each forward its
    own, in x^, in both terms of the loss, and in the negatives' g(z). In the z-chain the statistics of the forward of
    z0, constant during the chain: folded.I.scale and folded.I.shift, which is the generator the z-chain runs.

THE PAPER'S TRANSCRIPTS are of the authors' settings for CIFAR-10 and CelebA-64 with every width divided by 32, fewer
steps and a batch of 2, with variant `fresh` alone. They differ from the image transcript in what the authors do:
  Spectral norm: u and v are iterated before each step of both x-chains, and once before the energy's losses.
  Batch norm: in the z-chain, too, the statistics of each step's own batch, and the gradient goes through them.
"""

import json
import sys

import numpy as np
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional as F

import noise
from page import FIXTURES
from lab_model import LAYERS, Network, ScaleShift

SEED = (77 << 32) + 4242
DTYPE = torch.float32 if "--float32" in sys.argv else torch.float64


def linear(i, o, bias=True):
    return {"type": "linear", "in_features": i, "out_features": o, "bias": bias}


def conv(i, o, kernel=3, stride=1, padding=1, bias=True):
    return {"type": "conv2d", "in_channels": i, "out_channels": o, "kernel": kernel, "stride": stride,
            "padding": padding, "bias": bias}


def mlp(i, o, bias=True, width=32):
    return [linear(i, width), {"type": "silu"}, linear(width, width), {"type": "silu"}, linear(width, o, bias)]


# Parameters whose gradient is zero but for rounding have no place here, since Adam would make a whole step of the
# rounding: an energy's last bias (the gap does not see it), and a bias before a batch norm.


LEAKY, FLATTEN, UP = {"type": "leaky_relu", "slope": 0.2}, {"type": "flatten"}, {"type": "upsample_nearest"}
POOL = {"type": "average_pool", "kernel": 2}


def batch_norm(channels):
    return {"type": "batch_norm", "channels": channels}


SMOOTH = {
    "networks": {
        "energy": {"input": [2], "layers": mlp(2, 1, bias=False), "reference": 3.0},
        "generator": {"input": [2], "layers": mlp(2, 2)},
        "encoder": {"input": [2], "layers": mlp(2, 4)},
    },
    "batch": 16, "seed": SEED, "iteration": 7,
    "x_chain": {"steps": 5, "step_size": 0.2, "noise": 0.1},
    "z_chain": {"steps": 4, "step_size": 0.1, "noise": 0.1, "sigma": 0.3},
    "lambda_data": 1.0, "lambda_ebm": 2.0, "lambda_inf": 0.1, "energy_l2": 0.05,
    "learning_rate": {"energy": 1e-3, "generator": 2e-3, "encoder": 3e-3},
    "weight_decay": {"energy": 0.0, "generator": 5e-4, "encoder": 5e-4},
}

IMAGE = {
    "networks": {
        "energy": {"input": [1, 8, 8], "layers": [
            conv(1, 8), LEAKY, POOL, conv(8, 16), LEAKY, POOL, FLATTEN, linear(64, 1, bias=False)]},
        "generator": {"input": [6], "layers": [
            linear(6, 64), {"type": "reshape", "shape": [16, 2, 2]},
            UP, conv(16, 12, bias=False), batch_norm(12), LEAKY, UP, conv(12, 8, bias=False), batch_norm(8), LEAKY,
            conv(8, 1), {"type": "tanh"}]},
        "encoder": {"input": [1, 8, 8], "layers": [
            conv(1, 8, 4, 2), LEAKY, conv(8, 12, 4, 2), LEAKY, FLATTEN, linear(48, 12)]},
    },
    "batch": 8, "seed": SEED + 1, "iteration": 3,
    "x_chain": {"steps": 5, "step_size": 1.0, "noise": 0.01},
    "z_chain": {"steps": 4, "step_size": 0.1, "noise": 0.1, "sigma": 0.3},
    "lambda_data": 1.0, "lambda_ebm": 5.0, "lambda_inf": 0.1, "energy_l2": 0.02,
    "learning_rate": {"energy": 5e-4, "generator": 5e-4, "encoder": 5e-4},
    "weight_decay": {"energy": 0.0, "generator": 5e-4, "encoder": 5e-4},
}


def paper(size, energy, generator, first, x_chain, lambda_ebm):
    """The authors' networks (their released code), every width divided by 32."""
    xavier = {"initialisation": "xavier_normal"}

    def narrow(width):
        return width if width <= 3 else width // 32

    def convolution(i, o, kernel=3, stride=1, padding=1, bias=True):
        return conv(narrow(i), narrow(o), kernel, stride, padding, bias)

    def residual(main, shortcut):
        return {"type": "residual", "main": main, "shortcut": shortcut}

    relu, bilinear, flat = {"type": "relu"}, {"type": "upsample_bilinear"}, {"bias": False}

    def norm(channels):
        return batch_norm(narrow(channels)) | {"weight": "normal"}

    def energy_block(i, o, down, is_first):
        main = [] if is_first else [relu]
        main += [convolution(i, o, **flat), relu, convolution(o, o, **flat)] + [POOL] * down
        skip = convolution(i, o, 1, 1, 0, False)
        if i == o and not down:
            return residual(main, [])
        return residual(main, [POOL, skip] if is_first else [skip] + [POOL] * down)

    def generator_block(i, o):
        main = [norm(i), relu, bilinear, convolution(i, o), norm(o), relu, convolution(o, o)]
        return residual(main, [bilinear, convolution(i, o, 1, 1, 0)])

    blocks = [energy_block(*block, is_first=k == 0) for k, block in enumerate(energy)]
    width = narrow(energy[-1][1])
    energy = blocks + [relu, {"type": "global_average_pool"}, linear(width, 1, False)]
    start, last = narrow(generator[0]), generator[-1]
    generator = [linear(4, 16 * start), {"type": "reshape", "shape": [start, 4, 4]}] + [
        generator_block(*pair) for pair in zip(generator, generator[1:])
    ] + [norm(last), relu, convolution(last, 3), {"type": "tanh"}]
    encoder = [convolution(3, 128, *first, False), LEAKY]
    for i in (128, 256, 512):
        encoder += [convolution(i, 2 * i, 4, 2, 1, False), LEAKY]
    encoder += [conv(1024 // 32, 8, 4, 1, 0), FLATTEN]
    return {
        "networks": {
            "energy": {"input": [3, size, size], "spectral_norm": True, "layers": energy} | xavier,
            "generator": {"input": [4], "layers": generator} | xavier,
            "encoder": {"input": [3, size, size], "layers": encoder} | xavier,
        },
        "batch": 2, "seed": SEED + 2, "iteration": 5,
        "x_chain": {"steps": 3, "noise": 0.001, "spectral_iteration": "each_step"} | x_chain,
        "z_chain": {"steps": 3, "step_size": 0.1, "noise": 0.1, "sigma": 0.3, "batch_norm": "batch"},
        "lambda_data": 1.0, "lambda_ebm": lambda_ebm, "lambda_inf": 0.1, "energy_l2": 0.0,
        "learning_rate": {"energy": 1e-4, "generator": 3e-4, "encoder": 1e-4},
        "weight_decay": {"energy": 0.0, "generator": 5e-4, "encoder": 5e-4},
    }


CIFAR10 = paper(
    32, [(3, 512, True), (512, 512, True), (512, 512, False), (512, 512, False)], [512] * 4, (3, 1, 1),
    {"step_size": 0.5}, 50.0)
CELEBA64 = paper(
    64, [(3, 64, True), (64, 128, True), (128, 256, True), (256, 512, True), (512, 1024, True)],
    [1024, 512, 256, 128, 64], (4, 2, 1), {"step_size": 0.3}, 70.0)


class BatchNorm(nn.Module):
    """Batch statistics of each forward. `start` remembers those of one forward as a scale and shift."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        dims = (0, 2, 3)
        mean, variance = x.mean(dims), x.var(dims, unbiased=False)
        scale = self.weight / torch.sqrt(variance + 1e-5)
        self.folded = scale.detach(), (self.bias - scale * mean).detach()
        normalised = (x - mean[:, None, None]) / torch.sqrt(variance + 1e-5)[:, None, None]
        return self.weight[:, None, None] * normalised + self.bias[:, None, None]


LAYERS["batch_norm"] = lambda d: BatchNorm(d["channels"])


class Spectral(nn.Module):
    """An energy whose weights are divided by their spectral norm, u and v held constant."""

    def __init__(self, network, us):
        super().__init__()
        self.network, self.vectors = network, {name: (u, None) for name, u in us.items()}

    def iterate(self):
        for name, (u, _) in self.vectors.items():
            w = self.network.get_parameter(name).detach().flatten(1)
            v = F.normalize(w.T @ u, dim=0, eps=1e-12)
            self.vectors[name] = F.normalize(w @ v, dim=0, eps=1e-12), v

    def sigma(self, name):
        u, v = self.vectors[name]
        return u @ self.network.get_parameter(name).flatten(1) @ v

    def forward(self, x):
        weights = {n: p / self.sigma(n) if n in self.vectors else p for n, p in self.network.named_parameters()}
        return torch.func.functional_call(self.network, weights, (x,))


def initial(network, rng):
    for parameter in network.parameters():
        shape = tuple(parameter.shape)
        if parameter.dim() == 1:
            values = 0.1 * rng.standard_normal(shape)
        else:
            values = 1.2 * rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        parameter.data = exact(values)
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.weight.data = exact(1 + 0.2 * rng.standard_normal(len(module.weight)))


def exact(array):
    """float64 numbers that float32 holds exactly."""
    return torch.from_numpy(np.asarray(array).astype(np.float32)).to(DTYPE)


def ring(count, rng):
    angle = 2 * np.pi * rng.integers(8, size=count) / 8
    centre = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return exact(centre + 0.2 * rng.standard_normal([count, 2]))


def blobs(count, rng):
    """8 x 8 images of one soft blob each, in [-1, 1]."""
    at = rng.uniform(2, 5, [count, 2, 1, 1])
    grid = np.mgrid[0:8, 0:8][None]
    return exact(2 * np.exp(-((grid - at) ** 2).sum(axis=1, keepdims=True) / 4) - 1)


def squared_error(a, b):
    return (a - b).square().flatten(1).sum(1)


def mean_and_log_variance(encoder, x):
    return encoder(x).chunk(2, dim=1)


def negative_log_likelihood(z, mean, log_variance):
    terms = log_variance / 2 + (z - mean).square() / (2 * (1e-6 + log_variance.exp()))
    return terms.sum(1).mean()


class Teaching:
    def __init__(self, settings, networks, energy):
        self.s, self.record = settings, {}
        self.networks = networks
        self.generator, self.encoder, self.energy = networks["generator"], networks["encoder"], energy
        self.adam = {role: self.optimiser(role) for role in networks}
        each_step = settings["x_chain"].get("spectral_iteration") == "each_step"
        self.iterate_norms = energy.iterate if each_step else lambda: None

    def optimiser(self, role):
        return torch.optim.Adam(
            self.networks[role].parameters(), lr=self.s["learning_rate"][role], betas=(0.0, 0.9), eps=1e-8,
            weight_decay=self.s["weight_decay"][role])

    def normals(self, stream, like, step):
        rows = noise.normals(self.s["seed"], stream, len(like), like[0].numel(), step)
        return exact(rows).reshape(like.shape)

    def chain(self, state, settings, stream, iteration, potential, values, before_step=lambda: None):
        """Langevin steps on the sum of `potential`; also `values` before each step and at the end."""
        trace = []
        for step in range(settings["steps"]):
            before_step()
            leaf = state.detach().requires_grad_()
            trace.append(values(leaf).detach())
            gradient = torch.autograd.grad(potential(leaf).sum(), leaf)[0]
            epsilon = self.normals(stream, state, iteration * settings["steps"] + step)
            state = (state - settings["step_size"] ** 2 / 2 * gradient + settings["noise"] * epsilon).detach()
        trace.append(values(state).detach())
        return state, torch.stack(trace)

    def x_chain(self, start, stream, iteration):
        def energies(x):
            return self.energy(x).squeeze(1)

        return self.chain(start.detach(), self.s["x_chain"], stream, iteration, energies, energies, self.iterate_norms)

    def z_chain(self, start, x, generator, iteration):
        settings = self.s["z_chain"]

        def errors(z):
            return squared_error(generator(z), x)

        def potential(z):
            return errors(z) / settings["sigma"] ** 2 + z.square().sum(1) / 2

        return self.chain(start, settings, noise.Z_CHAIN, iteration, potential, errors)

    def folded_generator(self, z0):
        """The generator with the batch statistics of g(z0) folded into scales and shifts."""
        self.generator(z0)
        layers = list(self.generator)
        for index, layer in enumerate(layers):
            if isinstance(layer, BatchNorm):
                layers[index] = ScaleShift(len(layer.weight)).to(DTYPE)
                layers[index].scale.data, layers[index].shift.data = layer.folded
                self.keep(**{f"folded.{index}.scale": layer.folded[0], f"folded.{index}.shift": layer.folded[1]})
        return nn.Sequential(*layers)

    def keep(self, **tensors):
        self.record |= {name: t.detach().clone() for name, t in tensors.items()}

    def step(self, role, loss, prefix, after):
        """Gradients of one network, and its Adam step."""
        network = self.networks[role]
        network.zero_grad()
        loss.backward()
        self.keep(**{f"{prefix}.gradient.{n}": p.grad for n, p in network.named_parameters()})
        self.adam[role].step()
        self.keep(**{f"{after}.{n}": p for n, p in network.named_parameters()})

    def iteration(self, t, x, variants):
        s = self.s
        for role, network in self.networks.items():
            self.keep(**{f"before.{role}.{n}": p for n, p in network.named_parameters()})
        latent = s["networks"]["generator"]["input"][0]
        z = self.normals(noise.PRIOR, torch.empty(len(x), latent), t)
        x_hat = self.generator(z).detach()
        x_tilde, energies = self.x_chain(x_hat, noise.X_CHAIN, t)
        with torch.no_grad():
            mean, log_variance = mean_and_log_variance(self.encoder, x)
            z_0 = mean + (log_variance / 2).exp() * self.normals(noise.ENCODER, mean, t)
            each_step = s["z_chain"].get("batch_norm") == "batch"
            folded = self.generator if each_step else self.folded_generator(z_0)
        z_tilde, errors = self.z_chain(z_0, x, folded, t)
        self.keep(**{"batch": x, "z": z, "x_hat": x_hat, "x_tilde": x_tilde, "z_0": z_0, "z_tilde": z_tilde,
                     "x_chain.energies": energies, "z_chain.errors": errors})

        loss_data = squared_error(self.generator(z_tilde), x).mean()
        loss_ebm = squared_error(self.generator(z), x_tilde).mean()
        loss = s["lambda_data"] * loss_data + s["lambda_ebm"] * loss_ebm
        self.keep(**{"generator.loss_data": loss_data, "generator.loss_ebm": loss_ebm, "generator.loss": loss})
        self.step("generator", loss, "generator", "after.generator")

        loss_data = negative_log_likelihood(z_tilde, *mean_and_log_variance(self.encoder, x))
        loss_inf = negative_log_likelihood(z, *mean_and_log_variance(self.encoder, x_tilde))
        loss = s["lambda_data"] * loss_data + s["lambda_inf"] * loss_inf
        self.keep(**{"encoder.loss_data": loss_data, "encoder.loss_inf": loss_inf, "encoder.loss": loss})
        self.step("encoder", loss, "encoder", "after.encoder")

        weights = {n: p.detach().clone() for n, p in self.networks["energy"].named_parameters()}
        for variant in variants:
            for n, p in self.networks["energy"].named_parameters():
                p.data = weights[n].clone()
            if len(variants) > 1:
                self.adam["energy"] = self.optimiser("energy")
            self.energy_update(variant, x, z, x_tilde, t)

    def energy_update(self, variant, x, z, x_tilde, t):
        s, prefix = self.s, f"energy.{variant}"
        with torch.no_grad():
            start = self.generator(z)
        if variant == "fresh":
            negatives = self.x_chain(start, noise.FRESH_X_CHAIN, t)[0]
            self.keep(**{f"{prefix}.start": start})
        else:
            negatives = start if variant == "generator" else x_tilde
        self.iterate_norms()
        energy_data, energy_negative = self.energy(x).squeeze(1), self.energy(negatives).squeeze(1)
        gap = energy_data.mean() - energy_negative.mean()
        l2 = (energy_data.square() + energy_negative.square()).mean()
        temperature = (s["x_chain"]["noise"] / s["x_chain"]["step_size"]) ** 2
        loss = (gap + (s["energy_l2"] if variant == "chain_l2" else 0.0) * l2) / temperature
        self.keep(**{f"{prefix}.negatives": negatives, f"{prefix}.energy_data": energy_data,
                     f"{prefix}.energy_negative": energy_negative, f"{prefix}.loss_gap": gap,
                     f"{prefix}.loss_l2": l2, f"{prefix}.loss": loss})
        self.step("energy", loss, prefix, f"{prefix}.after")


def write(name, settings, record):
    tensors = {k: v.to(torch.float32).reshape(v.shape or (1,)).contiguous() for k, v in record.items()}
    bad = [k for k, v in tensors.items() if not v.isfinite().all()]
    assert not bad, bad
    path = FIXTURES / f"transcript_{name}.safetensors"
    if DTYPE == torch.float32:
        committed = safetensors.torch.load_file(path)
        errors = {k: ((v - tensors[k]).norm() / v.norm()).item() for k, v in committed.items()}
        worst = sorted(errors, key=errors.get)[-5:]
        print(f"{name}, float32 against the file, relative to each tensor's norm:", {k: f"{errors[k]:.1e}" for k in worst})
        return
    path.write_bytes(safetensors.torch.save(tensors, {"settings": json.dumps(settings)}))
    losses = {k: round(v.item(), 4) for k, v in tensors.items() if k.split(".")[-1].startswith("loss")}
    print(f"{name}: {path.stat().st_size} bytes, {len(tensors)} tensors\n  {losses}")
    for what in ("x_chain.energies", "z_chain.errors"):
        print(f"  {what}", [round(v, 4) for v in tensors[what].mean(1).tolist()])


def built(settings, rng):
    networks = {role: Network(d).to(DTYPE) for role, d in settings["networks"].items()}
    for network in networks.values():
        initial(network, rng)
    return networks


VARIANTS = ["chain", "fresh", "generator", "chain_l2"]


def smooth():
    rng = np.random.default_rng(1)
    networks = built(SMOOTH, rng)
    teaching = Teaching(SMOOTH, networks, networks["energy"])
    batches = [ring(SMOOTH["batch"], rng) for _ in range(2)]
    teaching.iteration(SMOOTH["iteration"], batches[0], VARIANTS)  # chain_l2 is last and stays
    first, teaching.record = teaching.record, {}
    teaching.iteration(SMOOTH["iteration"] + 1, batches[1], ["chain_l2"])
    second = {f"second.{k}": v for k, v in teaching.record.items() if not k.startswith("before.")}
    write("smooth", SMOOTH, first | second)


def image():
    rng = np.random.default_rng(2)
    networks = built(IMAGE, rng)
    us = {n: F.normalize(exact(rng.standard_normal(len(p))), dim=0)
          for n, p in networks["energy"].named_parameters() if n.endswith("weight")}
    us = {n: exact(u) for n, u in us.items()}
    energy = Spectral(networks["energy"], us)
    energy.iterate()
    teaching = Teaching(IMAGE, networks, energy)
    for name, (u, v) in energy.vectors.items():
        at = "spectral." + name.removesuffix(".weight")
        teaching.keep(**{f"{at}.u": us[name], f"{at}.u_after": u, f"{at}.v_after": v, f"{at}.sigma": energy.sigma(name)})
    teaching.iteration(IMAGE["iteration"], blobs(IMAGE["batch"], rng), VARIANTS)
    write("image", IMAGE, teaching.record)


def authors(name, settings, seed):
    rng = np.random.default_rng(seed)
    networks = built(settings, rng)
    weights = [n for n, _ in networks["energy"].named_parameters() if n.endswith("weight")]
    shapes = {n: networks["energy"].get_parameter(n).shape[0] for n in weights}
    us = {n: exact(F.normalize(exact(rng.standard_normal(shapes[n])), dim=0)) for n in weights}
    teaching = Teaching(settings, networks, Spectral(networks["energy"], us))
    teaching.keep(**{"spectral." + n.removesuffix(".weight") + ".u": u for n, u in us.items()})
    size = settings["networks"]["energy"]["input"][1]
    coarse = rng.uniform(-1, 1, [settings["batch"], 3, 4, 4])
    batch = exact(F.interpolate(torch.from_numpy(coarse), size=size, mode="bilinear").numpy())
    teaching.iteration(settings["iteration"], batch, ["fresh"])
    write(name, settings, teaching.record)


if __name__ == "__main__":
    smooth()
    image()
    authors("cifar10_paper", CIFAR10, 3)
    authors("celeba64_paper", CELEBA64, 4)
