"""Philox 4x32-10 and standard normals, bit for bit those of shared/src/noise.rs.

All arithmetic is NumPy float32, one rounding an operation, in the order of the Rust code.
"""

import numpy as np

# The streams of dual_mcmc::noise::Stream that the peers draw from.
X_CHAIN, Z_CHAIN, PRIOR, START, ENCODER, FRESH_X_CHAIN = 0, 1, 2, 3, 4, 8

U32, U64, F32 = np.uint32, np.uint64, np.float32


def philox(counter, key):
    """Ten rounds over arrays of counters: four uint32 arrays (or numbers), and a key of two numbers."""
    c0, c1, c2, c3 = [np.asarray(c, dtype=U64) for c in np.broadcast_arrays(*counter)]
    k0, k1 = U64(key[0]), U64(key[1])
    low = U64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = c0 * U64(0xD2511F53), c2 * U64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> U64(32)) ^ c1 ^ k0, p1 & low, (p0 >> U64(32)) ^ c3 ^ k1, p0 & low
        k0, k1 = (k0 + U64(0x9E3779B9)) & low, (k1 + U64(0xBB67AE85)) & low
    return [c.astype(U32) for c in (c0, c1, c2, c3)]


def uniform(bits):
    """The top 24 bits as a number in (0, 1)."""
    return ((bits >> U32(8)).astype(F32) + F32(0.5)) * F32(1 / 16777216)


def ln(x):
    """Natural logarithm: Cephes' logf."""
    bits = x.view(U32)
    exponent = (bits >> U32(23)).astype(np.int32) - 126
    m = ((bits & U32(0x007FFFFF)) | U32(0x3F000000)).view(F32)
    small = m < F32(np.sqrt(0.5))
    exponent = np.where(small, exponent - 1, exponent).astype(F32)
    m = np.where(small, m + m, m) - F32(1)
    z = m * m
    p = np.full_like(m, 7.0376836e-2)
    for c in [-1.151461e-1, 1.1676998e-1, -1.2420141e-1, 1.4249323e-1,
              -1.6668057e-1, 2.0000715e-1, -2.4999994e-1, 3.3333331e-1]:
        p = p * m + F32(c)
    y = m * z * p + exponent * F32(-2.1219444e-4) - F32(0.5) * z
    return m + y + exponent * F32(0.6933594)


def sin_cos_turn(bits):
    """Sine and cosine of bits / 2^32 turns: Cephes' polynomials around the nearest quarter turn."""
    bits = (bits >> U32(8)).astype(np.int64)
    quadrant = ((bits + (1 << 21)) >> 22) & 3
    rest = bits - (quadrant << 22)
    rest = np.where(rest > 1 << 23, rest - (1 << 24), rest)
    x = rest.astype(F32) * (F32(2 * np.pi) / F32(16777216))
    z = x * x
    sin = ((F32(-1.9515296e-4) * z + F32(8.332161e-3)) * z - F32(1.6666655e-1)) * z * x + x
    cos = ((F32(2.4433157e-5) * z - F32(1.3887316e-3)) * z + F32(4.166664e-2)) * z * z - F32(0.5) * z + F32(1)
    return (np.choose(quadrant, [sin, cos, -sin, -cos]).astype(F32),
            np.choose(quadrant, [cos, -sin, -cos, sin]).astype(F32))


def box_muller(radius, angle):
    r = np.sqrt(F32(-2) * ln(uniform(radius)))
    sin, cos = sin_cos_turn(angle)
    return r * cos, r * sin


def normals(seed, stream, chains, length, step):
    """Float32 array [chains, length]: row i is what `Noise::normals` gives chain i at `step`."""
    blocks = -(-length // 4)
    block = np.arange(blocks, dtype=U32)[None, :]
    chain = np.arange(chains, dtype=U32)[:, None]
    bits = philox([block, chain, U32(step), U32(stream)], (seed & 0xFFFFFFFF, seed >> 32))
    four = [*box_muller(bits[0], bits[1]), *box_muller(bits[2], bits[3])]
    return np.stack(four, axis=-1).reshape(chains, blocks * 4)[:, :length].copy()


def known_answers():
    """Random123's kat_vectors for philox4x32 10."""
    ones, pi = [0xFFFFFFFF] * 4, [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]
    for counter, key, answer in [
        ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (ones, ones[:2], "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (pi, [0xA4093822, 0x299F31D0], "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ]:
        found = " ".join(f"{int(c):08x}" for c in philox(counter, key))
        assert found == answer, (found, answer)


known_answers()
