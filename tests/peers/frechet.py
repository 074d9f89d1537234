"""Fréchet distances of random features with scipy's sqrtm, for the test of trainer/src/run/frechet.rs.

    python tests/peers/frechet.py

Both sets are normals of dual_mcmc::noise, mixed and shifted by formulas that the test repeats. The second case has
fewer samples than features, so its covariance is singular. Needs NumPy and SciPy (1.17 was used).
"""

import numpy as np
from noise import normals
from scipy.linalg import sqrtm

DATA = 7


def features(seed, count, size, twist):
    """[count, size]: rectified mixtures of neighbouring normals, as features of a network are."""
    x = normals(seed, DATA, count, size, 0).astype(np.float64)
    scale = 1 + 0.5 * np.sin(twist * np.arange(size))
    return np.maximum(scale * (x + 0.7 * np.roll(x, 1, axis=1)) + 0.3 * np.cos(twist * np.arange(size)), 0)


def distance(a, b):
    covariances = [np.cov(x, rowvar=False) for x in (a, b)]
    root = sqrtm(covariances[0] @ covariances[1])
    means = a.mean(0) - b.mean(0)
    return means @ means + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.trace(root.real)


for count in (400, 30):
    print(count, repr(float(distance(features(1, 500, 48, 0.3), features(2, count, 48, 1.1)))))
