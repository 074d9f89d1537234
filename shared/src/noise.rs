//! Counter-based noise: Philox 4×32-10 and normals from it.
//!
//! A normal number is a pure function of seed, stream, chain, step and element, so a chain can be
//! run on any executor, in any order and over any number of threads, and still be the same chain.
//! `gpu/kernels/noise.wgsl` computes the same integers and uses the same polynomials.
//!
//! Philox: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).

/// Which random sequence of a seed: each use has its own, so that none repeats another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    /// Noise of the x-chain's steps.
    XChain = 0,
    /// Noise of the z-chain's steps.
    ZChain = 1,
    /// Latents z ~ N(0, I).
    Prior = 2,
    /// Starts of chains from noise.
    Start = 3,
    /// The encoder's sample z₀ ~ q(z|x).
    Encoder = 4,
    /// Order of the training data.
    Shuffle = 5,
    /// Initial parameters.
    Parameters = 6,
    /// Points of synthetic data sets.
    Data = 7,
    /// Noise of the fresh x-chain of the EBM's update.
    FreshXChain = 8,
    /// Choice and restart of persistent chains.
    Persistent = 9,
    /// Noise added to training data.
    DataNoise = 10,
    /// Acceptance of the x-chain's proposals (MALA).
    Acceptance = 11,
    /// Which images of a batch are mirrored.
    Flip = 12,
}

/// One block of Philox 4×32 with 10 rounds.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let p0 = u64::from(c0) * 0xD251_1F53;
        let p1 = u64::from(c2) * 0xCD9E_8D57;
        (c0, c1, c2, c3) = ((p1 >> 32) as u32 ^ c1 ^ k0, p1 as u32, (p0 >> 32) as u32 ^ c3 ^ k1, p0 as u32);
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    [c0, c1, c2, c3]
}

/// The random numbers of one seed and stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    seed: u64,
    stream: u32,
}

impl Noise {
    /// The sequence `stream` of `seed`.
    pub fn new(seed: u64, stream: Stream) -> Noise {
        Noise { seed, stream: stream as u32 }
    }

    /// Philox's key: the seed's low and high words.
    pub fn key(&self) -> [u32; 2] {
        [self.seed as u32, (self.seed >> 32) as u32]
    }

    /// Number of the stream, the last word of every counter.
    pub fn stream(&self) -> u32 {
        self.stream
    }

    /// Four random integers: block `block` of `chain` at `step`. The counter is
    /// `[block, chain, step, stream]`, the key the seed's low and high words.
    pub fn block(&self, chain: u32, step: u32, block: u32) -> [u32; 4] {
        philox([block, chain, step, self.stream], self.key())
    }

    /// Standard normals for the elements of `chain` at `step`: element `i` is number `i % 4` of
    /// block `i / 4`.
    pub fn normals(&self, chain: u32, step: u32, out: &mut [f32]) {
        for (block, out) in out.chunks_mut(4).enumerate() {
            let normals = normals(self.block(chain, step, block as u32));
            out.copy_from_slice(&normals[..out.len()]);
        }
    }

    /// Uniform numbers in (0, 1], laid out as [`Noise::normals`].
    pub fn uniforms(&self, chain: u32, step: u32, out: &mut [f32]) {
        for (block, out) in out.chunks_mut(4).enumerate() {
            let bits = self.block(chain, step, block as u32);
            for (out, bits) in out.iter_mut().zip(bits) {
                *out = uniform(bits);
            }
        }
    }

    /// The sequence `stream` of this seed.
    pub fn with_stream(&self, stream: Stream) -> Noise {
        Noise { stream: stream as u32, ..*self }
    }

    /// An integer in `0..n`, by multiplication of one 32-bit number (its bias is below n / 2³²).
    pub fn below(&self, chain: u32, step: u32, n: u32) -> u32 {
        ((u64::from(self.block(chain, step, 0)[0]) * u64::from(n)) >> 32) as u32
    }

    /// Standard normals for `chains` rows of `len` elements, row `i` for chain `first_chain + i`.
    pub fn normal_rows(&self, first_chain: u32, chains: usize, len: usize, step: u32) -> Vec<f32> {
        let mut out = vec![0.0; chains * len];
        for (i, row) in out.chunks_mut(len.max(1)).enumerate() {
            self.normals(first_chain + i as u32, step, row);
        }
        out
    }
}

/// The top 24 bits as a number in (0, 1]: never 0, and 1 only where the largest rounds up.
pub fn uniform(bits: u32) -> f32 {
    ((bits >> 8) as f32 + 0.5) * (1.0 / 16_777_216.0)
}

/// Four standard normals of four random integers, by Box and Muller's transform of each pair.
pub fn normals(bits: [u32; 4]) -> [f32; 4] {
    let [a, b] = box_muller(bits[0], bits[1]);
    let [c, d] = box_muller(bits[2], bits[3]);
    [a, b, c, d]
}

fn box_muller(radius: u32, angle: u32) -> [f32; 2] {
    let r = (-2.0 * ln(uniform(radius))).sqrt();
    let (sin, cos) = sin_cos_turn(angle);
    [r * cos, r * sin]
}

/// Natural logarithm of a number in (0, 1): exponent and mantissa taken apart, then the polynomial
/// of Cephes' `logf` on [√½, √2).
pub(crate) fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 23) as i32 - 126;
    let mut m = f32::from_bits((bits & 0x007F_FFFF) | 0x3F00_0000);
    if m < std::f32::consts::FRAC_1_SQRT_2 {
        exponent -= 1;
        m += m;
    }
    let m = m - 1.0;
    let z = m * m;
    let mut p = 7.037_683_6e-2;
    for c in [
        -1.151_461e-1,
        1.167_699_8e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_7e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = p * m + c;
    }
    let e = exponent as f32;
    let y = m * z * p + e * -2.121_944_4e-4 - 0.5 * z;
    m + y + e * 0.693_359_4
}

/// Sine and cosine of `bits / 2³²` turns: the quadrant from the two top bits, then Cephes'
/// polynomials on [-π/4, π/4].
pub(crate) fn sin_cos_turn(bits: u32) -> (f32, f32) {
    // Round to the nearest quarter turn; what is left is an exact 24-bit fraction.
    let bits = bits >> 8;
    let quadrant = (bits.wrapping_add(1 << 21) >> 22) & 3;
    let rest = bits as i32 - (quadrant << 22) as i32;
    let rest = if rest > (1 << 23) { rest - (1 << 24) } else { rest };
    let x = rest as f32 * (std::f32::consts::TAU / 16_777_216.0);
    let z = x * x;
    let sin = ((-1.951_529_6e-4 * z + 8.332_161e-3) * z - 1.666_665_5e-1) * z * x + x;
    let cos = ((2.443_315_7e-5 * z - 1.388_731_6e-3) * z + 4.166_664_6e-2) * z * z - 0.5 * z + 1.0;
    match quadrant {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of Random123's `kat_vectors` for `philox4x32 10`.
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn polynomials_match_the_library_functions() {
        for i in 0..200_000u32 {
            let bits = i.wrapping_mul(0x9E37_79B9);
            let u = uniform(bits);
            let exact = f64::from(u).ln();
            assert!((f64::from(ln(u)) - exact).abs() <= 2e-7 * exact.abs().max(1.0), "ln {u}");
            let turn = f64::from(bits >> 8) / 16_777_216.0 * std::f64::consts::TAU;
            let (sin, cos) = sin_cos_turn(bits);
            assert!((f64::from(sin) - turn.sin()).abs() < 3e-7, "sin {turn}");
            assert!((f64::from(cos) - turn.cos()).abs() < 3e-7, "cos {turn}");
        }
    }

    #[test]
    fn normals_have_the_moments_of_a_normal() {
        let mut x = vec![0.0; 400_000];
        Noise::new(7, Stream::XChain).normals(3, 11, &mut x);
        let n = x.len() as f64;
        let moment = |k: i32| x.iter().map(|&v| f64::from(v).powi(k)).sum::<f64>() / n;
        // Four standard errors of each sample moment.
        assert!(moment(1).abs() < 4.0 * (1.0 / n).sqrt());
        assert!((moment(2) - 1.0).abs() < 4.0 * (2.0 / n).sqrt());
        assert!(moment(3).abs() < 4.0 * (15.0 / n).sqrt());
        assert!((moment(4) - 3.0).abs() < 4.0 * (96.0 / n).sqrt());
    }

    #[test]
    fn streams_chains_steps_and_seeds_differ() {
        let base = Noise::new(1, Stream::XChain).block(0, 0, 0);
        assert_ne!(base, Noise::new(2, Stream::XChain).block(0, 0, 0));
        assert_ne!(base, Noise::new(1 << 32 | 1, Stream::XChain).block(0, 0, 0));
        assert_ne!(base, Noise::new(1, Stream::ZChain).block(0, 0, 0));
        assert_ne!(base, Noise::new(1, Stream::XChain).block(1, 0, 0));
        assert_ne!(base, Noise::new(1, Stream::XChain).block(0, 1, 0));
        assert_ne!(base, Noise::new(1, Stream::XChain).block(0, 0, 1));
    }
}
