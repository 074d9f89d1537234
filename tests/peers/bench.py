"""How long a training iteration and a step of each chain take in PyTorch, beside `dual-mcmc bench` in the same call.

    python tests/peers/bench.py target/release/dual-mcmc [training] [chains] [--device cpu|cuda] [--seconds 5]
        [--networks ring,fashion-mnist,wide,cifar10-paper] [--chains 16,64] [--compile]

The same recipes (recipes/ring.toml and recipes/fashion-mnist.toml), networks, batches, chain lengths and
optimisers, eager mode, float32 with TF32 off, all cores; noise from torch.randn. Prints milliseconds of both, and
PyTorch's divided by ours: above 1 ours is faster. With `--compile` the chains run through torch.compile, too. The
z-chain uses the batch-norm statistics of its start, folded, as the recipes say.
"""

import argparse
import json
import subprocess
import tempfile
import time
import tomllib
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from page import ROOT
from lab_model import LAYERS, Network

STEPS = 10  # between two looks at the clock


def conv(in_channels):
    shape = {"kernel": 3, "stride": 1, "padding": 1}
    return [{"type": "conv2d", "in_channels": in_channels, "out_channels": 128, **shape},
            {"type": "leaky_relu", "slope": 0.2}]


# Arithmetic and little else.
WIDE = {"input": [3, 32, 32], "layers": [
    *conv(3), *conv(128), *conv(128), *conv(128), {"type": "average_pool", "kernel": 32}, {"type": "flatten"},
    {"type": "linear", "in_features": 128, "out_features": 1}]}


class BatchNorm(nn.Module):
    """Batch statistics, or those of the batch that was seen while `holding`."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.holding, self.held = False, None

    def forward(self, x):
        if self.holding:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            scale = (self.weight / (variance + 1e-5).sqrt()).detach()
            self.held = scale, (self.bias - mean * scale).detach()
        if self.held is not None:
            scale, shift = self.held
            return x * scale[:, None, None] + shift[:, None, None]
        return nn.functional.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=1e-5)


LAYERS["batch_norm"] = lambda d: BatchNorm(d["channels"])


def squared_error(a, b):
    return (a - b).square().flatten(1).sum(1)


def likelihood(z, posterior):
    mean, log_variance = posterior.chunk(2, dim=1)
    return (log_variance / 2 + (z - mean).square() / (2 * (1e-6 + log_variance.exp()))).sum(1).mean()


def norms(network):
    return [layer for layer in network.modules() if isinstance(layer, BatchNorm)]


def hold_statistics(network, z):
    for norm in norms(network):
        norm.holding = True
    with torch.no_grad():
        network(z)
    for norm in norms(network):
        norm.holding = False


def walk(state, settings, potential):
    half = settings["step_size"] ** 2 / 2
    for _ in range(settings["steps"]):
        state.requires_grad_()
        gradient = torch.autograd.grad(potential(state).sum(), state)[0]
        state = (state - half * gradient + settings["noise"] * torch.randn_like(state)).detach()
    return state


def z_potential(generator, x, sigma):
    return lambda z: squared_error(generator(z), x) / sigma**2 + z.square().sum(1) / 2


class Training:
    def __init__(self, recipe, device):
        self.r, self.device = recipe, device
        self.networks = {role: Network(recipe[role]).to(device) for role in ("energy", "generator", "encoder")}
        if recipe["energy"].get("spectral_norm"):
            for layer in self.networks["energy"]:
                if isinstance(layer, (nn.Linear, nn.Conv2d)):
                    spectral_norm(layer)
        self.energy, self.generator, self.encoder = self.networks.values()
        self.adam = {
            role: torch.optim.Adam(n.parameters(), lr=recipe["optimiser"][role]["rate"], betas=(0.0, 0.9), eps=1e-8,
                                   weight_decay=recipe["optimiser"][role].get("weight_decay", 0.0))
            for role, n in self.networks.items()
        }
        self.average = [p.detach().clone() for p in self.generator.parameters()]
        batch, data = recipe["teaching"]["batch"], recipe["energy"]["input"]
        self.x = (0.5 * torch.randn(batch, *data, device=device)).clamp(-1, 1)
        persistent = recipe["teaching"].get("persistent")
        self.buffer = persistent and torch.empty(persistent["size"], *data, device=device).uniform_(*persistent["range"])

    def x_chain(self, state):
        # One fixed energy during the chain: in evaluation mode spectral norm makes no iteration.
        self.energy.eval()
        for p in self.energy.parameters():
            p.requires_grad_(False)
        with nn.utils.parametrize.cached():
            state = walk(state, self.r["x_chain"], self.energy)
        for p in self.energy.parameters():
            p.requires_grad_(True)
        self.energy.train()
        return state

    def z_chain(self, state):
        for p in self.generator.parameters():
            p.requires_grad_(False)
        hold_statistics(self.generator, state)
        chain = self.r["z_chain"]
        state = walk(state, chain, z_potential(self.generator, self.x, chain["sigma"]))
        for norm in norms(self.generator):
            norm.held = None
        for p in self.generator.parameters():
            p.requires_grad_(True)
        return state

    def update(self, role, loss):
        self.adam[role].zero_grad()
        loss.backward()
        self.adam[role].step()

    def iteration(self):
        t, x = self.r["teaching"], self.x
        z = torch.randn(t["batch"], self.r["generator"]["input"][0], device=self.device)
        generated = self.generator(z)
        start = generated.detach()
        slots = None
        if self.buffer is not None:
            slots = torch.randperm(len(self.buffer), device=self.device)[: round(t["persistent"]["share"] * len(x))]
            start = torch.cat([start, self.buffer[slots]])
        walked = self.x_chain(start.clone())
        revised, carried = walked[: len(x)], walked[len(x):]
        if slots is not None:
            self.buffer[slots] = carried
        posterior = self.encoder(x)
        mean, log_variance = posterior.detach().chunk(2, dim=1)
        inferred = self.z_chain(mean + (log_variance / 2).exp() * torch.randn_like(mean))
        loss = t["lambda_data"] * squared_error(self.generator(inferred), x).mean()
        self.update("generator", loss + t["lambda_ebm"] * squared_error(generated, revised).mean())
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list(self.generator.parameters()), 0.01)
        loss = t["lambda_data"] * likelihood(inferred, posterior)
        self.update("encoder", loss + t["lambda_inf"] * likelihood(z, self.encoder(revised)))
        negatives = torch.cat([revised[: len(x) - len(carried)], carried])
        with nn.utils.parametrize.cached():
            data, model = self.energy(x), self.energy(negatives)
        l2 = t.get("energy_l2", 0.0) * (data.square().mean() + model.square().mean())
        chain = self.r["x_chain"]
        self.update("energy", (data.mean() - model.mean() + l2) * (chain["step_size"] / chain["noise"]) ** 2)
        return data.mean().item()


def timed(step, seconds, device):
    def once():
        begin = time.perf_counter()
        step()
        if device == "cuda":
            torch.cuda.synchronize()
        return 1e3 * (time.perf_counter() - begin)

    for _ in range(3):
        once()
    begin, times = time.perf_counter(), []
    while len(times) < 3 or time.perf_counter() - begin < seconds:
        times.append(once())
    return sorted(times)[len(times) // 2]


def chain_networks(name):
    """(x-chain or z-chain, the network it goes through), spectral norm folded away as it is during a chain."""
    if name == "wide":
        return [("x-chain", WIDE)]
    recipe = tomllib.loads((ROOT / "recipes" / f"{name}.toml").read_text())
    return [("x-chain", recipe["energy"]), ("z-chain", recipe["generator"])]


def chain(which, description, chains, device, compiled):
    """A function that walks STEPS steps."""
    network = Network(description).to(device)
    for p in network.parameters():
        p.requires_grad_(False)
    state = torch.randn(chains, *description["input"], device=device)
    settings = {"step_size": 0.01, "noise": 0.01, "steps": STEPS}
    hold_statistics(network, state)
    potential = network if which == "x-chain" else z_potential(network, torch.randn_like(network(state)), 0.3)
    if compiled:
        potential = torch.compile(potential)
    return lambda: walk(state.clone(), settings, potential)


def numbers(text):
    return [int(n) for n in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("what", nargs="*", help="training, chains or, where nothing is said, both")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--networks", type=lambda text: text.split(","), default=["ring", "fashion-mnist"])
    parser.add_argument("--chains", type=numbers, default=[16, 64])
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bench.json"
        command = [args.binary, "bench", *args.what, "--device", {"cuda": "gpu"}.get(args.device, args.device),
                   "--seconds", str(args.seconds), "--networks", ",".join(args.networks),
                   "--chains", ",".join(map(str, args.chains)), "--json", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        figures = json.loads(out.read_text())
    print(f"{figures['device']}; PyTorch {torch.__version__} on {args.device}, {torch.get_num_threads()} threads")
    print(f"{'':42}{'ours ms':>10}{'PyTorch ms':>12}{'ratio':>8}")

    def line(name, ours, theirs):
        print(f"{name:42}{ours:10.2f}{theirs:12.2f}{theirs / ours:8.2f}", flush=True)

    for name, measured in figures.get("training", {}).items():
        recipe = tomllib.loads((ROOT / "recipes" / f"{name}.toml").read_text())
        training = Training(recipe, args.device)
        line(f"{name}, iteration", measured["iteration_milliseconds"],
             timed(training.iteration, args.seconds, args.device))
    for name in args.networks if "chains" in figures else []:
        for which, description in chain_networks(name):
            for chains in args.chains:
                ours = figures["chains"][f"{name}, {which}"][f"{chains}_chains"]["milliseconds_a_step"]
                for compiled in [False, True] if args.compile else [False]:
                    step = chain(which, description, chains, args.device, compiled)
                    theirs = timed(step, args.seconds / 2, args.device) / STEPS
                    line(f"{name}, {which}, {chains} chains{', compiled' * compiled}", ours, theirs)


if __name__ == "__main__":
    main()
