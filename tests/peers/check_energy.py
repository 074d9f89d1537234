"""Compare the output of `dual-mcmc energy` with the same network rebuilt in PyTorch.

    dual-mcmc energy MODEL --input X.npy --out E.npy --gradient G.npy
    python tests/peers/check_energy.py MODEL X.npy E.npy [G.npy]

PyTorch computes in float64. Agreement: energies to 1e-4 of max(|E|, root mean square energy); each sample's
gradient to 1e-4 of its norm, for networks with kinks (ReLU, leaky ReLU) on at least 90% of the samples.
Exit status 0 if all of it holds.
"""

import sys

import numpy as np
import torch

import page  # noqa: F401  (provides lab_model)
from lab_model import load_model


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    model, x, e = sys.argv[1], np.load(sys.argv[2]), np.load(sys.argv[3]).reshape(-1)
    networks, _ = load_model(model)
    energy = networks["energy"].double()
    x = torch.from_numpy(x).double().requires_grad_()
    expected = energy(x).squeeze(1)
    gradient = torch.autograd.grad(expected.sum(), x)[0].flatten(1).numpy()
    expected = expected.detach().numpy()
    if len(e) != len(expected):
        sys.exit(f"{len(e)} energies for {len(expected)} inputs")
    scale = np.maximum(np.abs(expected), np.sqrt((expected**2).mean()))
    error = np.abs(e - expected) / scale
    kinked = any(d["type"] in ("relu", "leaky_relu") for d in energy.description["layers"])
    needed = 0.9 if kinked else 1.0
    ok = (error <= 1e-4).mean() >= needed
    print(f"energies of {len(e)} samples: largest error {error.max():.2e}, within 1e-4: {(error <= 1e-4).mean():.1%}")
    if len(sys.argv) == 5:
        g = np.load(sys.argv[4]).reshape(len(e), -1)
        error = np.linalg.norm(g - gradient, axis=1) / np.linalg.norm(gradient, axis=1)
        ok &= (error <= 1e-4).mean() >= needed
        print(f"gradients: largest error {error.max():.2e}, within 1e-4: {(error <= 1e-4).mean():.1%}")
    print("agree" if ok else "DISAGREE")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
