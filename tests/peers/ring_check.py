"""How well samples cover the ring of eight Gaussians (radius 2, standard deviation 0.2, first mode at angle 0).

    python tests/peers/ring_check.py SAMPLES.npy

SAMPLES.npy holds [N, 2]. Prints the share of samples within 3 sigma of a mode ("good"), the share of the
least visited mode among all samples, and the mean of r^2 / 2 sigma^2 of the good ones, with r the distance
to the nearest mode. Data drawn from the ring itself give 0.989, 0.12 and 0.95. Needs NumPy only.
"""

import sys

import numpy as np

RADIUS, SIGMA, MODES = 2.0, 0.2, 8


def ring_metrics(samples):
    """good share, smallest mode's share, spread"""
    angle = 2 * np.pi * np.arange(MODES) / MODES
    modes = RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    squared = ((samples[:, None, :].astype(np.float64) - modes) ** 2).sum(axis=2)
    nearest, r2 = squared.argmin(axis=1), squared.min(axis=1)
    good = r2 <= (3 * SIGMA) ** 2
    counts = np.bincount(nearest[good], minlength=MODES)
    spread = r2[good].mean() / (2 * SIGMA**2) if good.any() else float("nan")
    return good.mean(), counts.min() / len(samples), spread


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    samples = np.load(sys.argv[1])
    if samples.ndim != 2 or samples.shape[1] != 2:
        sys.exit(f"{sys.argv[1]} holds {samples.shape}, not [N, 2]")
    bad = (~np.isfinite(samples).all(axis=1)).sum()
    if bad:
        sys.exit(f"{bad} of {len(samples)} samples are not finite")
    good, smallest, spread = ring_metrics(samples)
    print(f"samples {len(samples)}  good {good:.4f}  smallest mode {smallest:.4f}  spread {spread:.4f}")


if __name__ == "__main__":
    main()
