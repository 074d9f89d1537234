"""Write tests/fixtures/reference_*.safetensors: small models with random weights that together use every layer
type, and beside each `*.expected.safetensors` with what PyTorch computes of it in float64.

    python tests/peers/reference_model.py

The networks are built by the Python of docs/model-format.md. shared/tests/model_reference.rs reads the files.

Tensors of an expected file (all F32, B samples):
    ROLE.input            [B, *input]
    ROLE.output           [B, *output]; an energy [B, 1] with its reference
    ROLE.grad_output      [B, *output], random (ones for an energy)
    ROLE.input_gradient   [B, *input], of the sum of grad_output * output
    x_chain.start, .end   [B, *data], x_chain.energies [steps + 1, B] before each step and at the end
    z_chain.target        [B, *data], z_chain.mask [*data], z_chain.start, .end [B, latent],
    z_chain.errors        [steps + 1, B]: masked squared errors
    normals               [chains, length]: Noise(seed, START).normals of chains 0.. at step 5
Metadata `noise`: JSON with `seed` (of all noise) and `first_step` (of both chains). The chains' settings are those
of the model.
"""

import json

import numpy as np
import safetensors.torch
import torch

import noise
from page import FIXTURES
from lab_model import Network, load_model, save_model

SEED, FIRST_STEP, BATCH = (5 << 32) + 1234, 3, 5


def conv(i, o, kernel, **more):
    return {"type": "conv2d", "in_channels": i, "out_channels": o, "kernel": kernel, **more}


def linear(i, o, **more):
    return {"type": "linear", "in_features": i, "out_features": o, **more}


def transposed(i, o, kernel, **more):
    return {"type": "conv_transpose2d", "in_channels": i, "out_channels": o, "kernel": kernel, **more}


def residual(main, shortcut):
    return {"type": "residual", "main": main, "shortcut": shortcut}


def one(kind, **fields):
    return {"type": kind, **fields}


LEAKY = one("leaky_relu", slope=0.2)

MODELS = {
    # Vectors: linear layers with and without bias, the smooth activations, the reference.
    "linear": {
        "energy": {"input": [3], "reference": 1.5, "layers": [
            linear(3, 17), one("silu"), linear(17, 9, bias=False), one("tanh"), linear(9, 1)]},
        "generator": {"input": [5], "layers": [linear(5, 13), one("silu"), linear(13, 3)]},
        "encoder": {"input": [3], "layers": [linear(3, 11), one("tanh"), linear(11, 10)]},
    },
    # Every way to place a kernel, on an image that is not square.
    "conv": {
        "energy": {"input": [3, 8, 6], "layers": [
            conv(3, 5, 3, padding=1), one("silu"), conv(5, 6, 4, stride=2, padding=1), one("tanh"),
            conv(6, 7, 2, bias=False), one("silu"), one("flatten"), linear(7 * 3 * 2, 1)]},
        "generator": {"input": [4], "layers": [
            linear(4, 6 * 4 * 3), one("reshape", shape=[6, 4, 3]), one("silu"), one("upsample_nearest"),
            conv(6, 3, 5, padding=2), one("tanh")]},
        "encoder": {"input": [3, 8, 6], "layers": [
            conv(3, 8, 3, stride=3, padding=2), one("silu"), conv(8, 4, 1), one("flatten"), linear(4 * 4 * 3, 8)]},
    },
    # The usual image model: leaky ReLU, pooling, folded batch norm; kinks everywhere.
    "image": {
        "energy": {"input": [1, 16, 16], "layers": [
            conv(1, 6, 3, padding=1), LEAKY, one("average_pool", kernel=2),
            conv(6, 8, 3, padding=1), one("relu"), one("average_pool", kernel=4), one("flatten"), linear(32, 1)]},
        "generator": {"input": [6], "layers": [
            linear(6, 8 * 4 * 4), one("reshape", shape=[8, 4, 4]),
            one("upsample_nearest"), conv(8, 6, 3, padding=1), one("scale_shift", channels=6), LEAKY,
            one("upsample_nearest"), conv(6, 4, 3, padding=1, bias=False), one("scale_shift", channels=4), LEAKY,
            conv(4, 1, 3, padding=1), one("tanh")]},
        "encoder": {"input": [1, 16, 16], "layers": [
            conv(1, 4, 4, stride=2, padding=1), LEAKY, conv(4, 8, 4, stride=2, padding=1), LEAKY,
            one("flatten"), linear(128, 12)]},
    },
    # Pools to a point, scale and shift of a vector, reshapes in the middle, a reference on images; energy only.
    "pool": {
        "energy": {"input": [2, 6, 4], "reference": 4.0, "layers": [
            conv(2, 4, 3, padding=1), one("silu"), one("reshape", shape=[2, 6, 8]), one("average_pool", kernel=2),
            conv(2, 9, 1), one("tanh"), one("global_average_pool"), one("scale_shift", channels=9), one("silu"),
            linear(9, 1, bias=False)]},
    },
    # Two paths, transposed convolutions and aligned corners, on an image that is not square.
    "residual": {
        "energy": {"input": [2, 8, 6], "layers": [
            residual([conv(2, 5, 3, padding=1), one("silu"), conv(5, 4, 3, padding=1, bias=False),
                      one("average_pool", kernel=2)],
                     [one("average_pool", kernel=2), conv(2, 4, 1, bias=False)]),
            residual([one("silu"), conv(4, 4, 3, padding=1)], []),
            residual([one("tanh"), residual([], [conv(4, 4, 1)])], [one("scale_shift", channels=4)]),
            one("flatten"), linear(48, 1)]},
        "generator": {"input": [3], "layers": [
            linear(3, 4 * 3 * 2), one("reshape", shape=[4, 3, 2]), one("silu"), transposed(4, 5, 2), one("tanh"),
            transposed(5, 4, 3, padding=1, bias=False),
            residual([one("silu"), one("upsample_bilinear"), conv(4, 3, 3, padding=1)],
                     [one("upsample_bilinear"), conv(4, 3, 1)]),
            transposed(3, 2, 3, padding=1), one("tanh")]},
        "encoder": {"input": [2, 8, 6], "layers": [
            conv(2, 4, 4, stride=2, padding=1), one("silu"),
            transposed(4, 3, 3, stride=2, padding=1, output_padding=1), one("upsample_bilinear"),
            conv(3, 2, 4, stride=4), one("flatten"), linear(24, 6)]},
    },
}
HALF = {"image"}  # stored in f16

Z_CHAIN = {"steps": 6, "step_size": 0.1, "noise": 0.05, "sigma": 0.5}
CHAINS = {
    "linear": {"x": {"steps": 6, "step_size": 0.6, "noise": 0.1}, "z": Z_CHAIN},
    "conv": {"x": {"steps": 6, "step_size": 1.0, "noise": 0.02}, "z": Z_CHAIN},
    "image": {"x": {"steps": 6, "step_size": 3.0, "noise": 0.01}, "z": Z_CHAIN},
    "residual": {"x": {"steps": 6, "step_size": 1.0, "noise": 0.02}, "z": Z_CHAIN},
    "pool": {"x": {"steps": 6, "step_size": 2.0, "noise": 0.1, "gradient_clamp": 0.05, "range_clamp": [-0.9, 1.0]}},
}


def random_weights(network, rng):
    """Weights that keep the activations near 1, and biases that matter."""
    for name, parameter in network.named_parameters():
        shape = tuple(parameter.shape)
        if name.endswith("scale"):
            values = 1 + 0.3 * rng.standard_normal(shape)
        elif parameter.dim() == 1:
            values = 0.3 * rng.standard_normal(shape)
        else:
            values = 1.5 * rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        parameter.data = torch.from_numpy(values.astype(np.float32))


def float32(array):
    """Random inputs that are the same numbers in float32 and float64."""
    return torch.from_numpy(np.asarray(array).astype(np.float32)).double()


def gradient_of(value, x):
    return torch.autograd.grad(value, x)[0]


def outputs(role, network, rng):
    x = float32(rng.uniform(-1, 1, [BATCH, *network.description["input"]])).requires_grad_()
    y = network(x)
    grad_output = torch.ones_like(y) if role == "energy" else float32(rng.standard_normal(y.shape))
    gradient = gradient_of((grad_output * y).sum(), x)
    return {f"{role}.input": x, f"{role}.output": y, f"{role}.grad_output": grad_output,
            f"{role}.input_gradient": gradient}


def langevin(state, potential, values, settings, stream):
    """Run one chain a row. `potential` gives the sum whose gradient drives it, `values` what is recorded."""
    recorded = [values(state)]
    half = settings["step_size"] ** 2 / 2
    for step in range(settings["steps"]):
        leaf = state.detach().requires_grad_()
        gradient = gradient_of(potential(leaf), leaf)
        clamp = settings.get("gradient_clamp", float("inf"))
        epsilon = noise.normals(SEED, stream, len(state), state[0].numel(), FIRST_STEP + step)
        epsilon = float32(epsilon).reshape(state.shape)
        state = state - half * gradient.clamp(-clamp, clamp) + settings["noise"] * epsilon
        low, high = settings.get("range_clamp", (-float("inf"), float("inf")))
        state = state.clamp(low, high).detach()
        recorded.append(values(state))
    return state, torch.stack(recorded)


def chains(networks, settings, rng):
    energy, generator = networks["energy"], networks.get("generator")
    data = energy.description["input"]
    start = float32(rng.uniform(-1, 1, [BATCH, *data]))
    end, energies = langevin(start, lambda x: energy(x).sum(), lambda x: energy(x).squeeze(1),
                             settings["x"], noise.X_CHAIN)
    found = {"x_chain.start": start, "x_chain.end": end, "x_chain.energies": energies}
    if generator is not None:
        target = float32(rng.uniform(-1, 1, [BATCH, *data]))
        mask = float32(rng.uniform(size=data) < 0.7)
        start = float32(rng.standard_normal([BATCH, *generator.description["input"]]))

        def errors(z):
            return (mask * (generator(z) - target) ** 2).flatten(1).sum(1)

        def potential(z):
            return errors(z).sum() / settings["z"]["sigma"] ** 2 + z.square().sum() / 2

        end, recorded = langevin(start, potential, errors, settings["z"], noise.Z_CHAIN)
        found |= {"z_chain.target": target, "z_chain.mask": mask, "z_chain.start": start,
                  "z_chain.end": end, "z_chain.errors": recorded}
    return found


def main():
    FIXTURES.mkdir(exist_ok=True)
    for seed, (name, descriptions) in enumerate(MODELS.items()):
        rng = np.random.default_rng(seed)
        networks = {role: Network(description) for role, description in descriptions.items()}
        for network in networks.values():
            random_weights(network, rng)
        settings = CHAINS[name]
        path = FIXTURES / f"reference_{name}.safetensors"
        save_model(
            path, networks, chains=settings,
            energy_quantiles={"probabilities": [0.1, 0.5, 0.9], "energies": [-1.0, 0.25, 2.0]},
            provenance={"data": "random weights", "license": "CC0-1.0", "version": "reference_model.py"},
            dtype=torch.float16 if name in HALF else torch.float32,
        )
        # What was stored, not what was meant: f16 rounds.
        networks = {role: network.double() for role, network in load_model(path)[0].items()}
        expected = {}
        for role, network in networks.items():
            expected |= outputs(role, network, rng)
        expected |= chains(networks, settings, rng)
        expected["normals"] = torch.from_numpy(noise.normals(SEED, noise.START, 7, 10, 5))
        expected = {k: v.detach().to(torch.float32).contiguous() for k, v in expected.items()}
        metadata = {"noise": json.dumps({"seed": SEED, "first_step": FIRST_STEP})}
        (FIXTURES / f"reference_{name}.expected.safetensors").write_bytes(safetensors.torch.save(expected, metadata))
        energies = expected["energy.output"].flatten()
        print(f"{name}: energies {energies.min():.2f} to {energies.max():.2f}, "
              f"gradient norm {expected['energy.input_gradient'].flatten(1).norm(dim=1).mean():.2f}, "
              f"x-chain energies {expected['x_chain.energies'].mean(1)[[0, -1]].tolist()}")


if __name__ == "__main__":
    main()
