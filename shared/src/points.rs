//! The synthetic 2-D data sets, with their exact densities.
//!
//! Every set fits in [-3, 3]². Points come from the counter-based noise, so point `i` of a seed is
//! the same wherever it is drawn, and a held-out set is a later range of indices.

use crate::noise::{Noise, Stream, normals, uniform};
use std::f64::consts::{PI, TAU};
use std::sync::LazyLock;

/// A synthetic 2-D data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointSet {
    /// Eight Gaussians of σ 0.2 on a circle of radius 2, the first at angle 0.
    Ring,
    /// Two interleaved half circles of radius 1.5, blurred by a Gaussian of σ 0.15.
    Moons,
    /// Two arms r = 2.5·θ/3π of one and a half turns, blurred by a Gaussian of σ 0.1.
    Spiral,
    /// The eight unit squares of [-2, 2]² whose corners' coordinates have an even sum, uniform.
    Checkerboard,
}

/// Points of a set that are learned from, unless a recipe says otherwise.
pub const TRAINING_POINTS: usize = 60_000;

/// Every use of a set sees the same points, whatever the seed of the run.
const SEED: u64 = 0;

/// Where a point lies with respect to the modes of its set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// Index of the nearest mode: Gaussian, moon, arm or square.
    pub mode: usize,
    /// Distance to the mode's centre or curve; 0 inside a square.
    pub distance: f64,
}

/// A point of a curve, with the weight of its piece in the quadrature.
struct Node {
    at: [f64; 2],
    weight: f64,
}

const RING_RADIUS: f64 = 2.0;
const MOON_RADIUS: f64 = 1.5;
const SPIRAL_TURN: f64 = 3.0 * PI;
const SPIRAL_RADIUS: f64 = 2.5;

/// Share of each set's probability in its highest-density region: that of a Gaussian within 3σ in two
/// dimensions, 1 - exp(-9/2).
pub const GOOD_SHARE: f64 = 0.988_891;

/// The logarithms of the densities at the edge of that region. Found by summing the density over cells of
/// side 0.01, highest first, up to the share; cells of 0.02 differ by 0.004.
const MOONS_EDGE: f64 = -4.641;
const SPIRAL_EDGE: f64 = -5.059;

/// Nodes of one curve. Their spacing stays below σ/2, where the midpoint rule's error on a
/// Gaussian is far below f64's rounding of the sum.
const NODES: usize = 512;

static MOONS: LazyLock<Vec<Node>> = LazyLock::new(|| curve_nodes(PointSet::Moons));
static SPIRAL: LazyLock<Vec<Node>> = LazyLock::new(|| curve_nodes(PointSet::Spiral));

impl PointSet {
    /// All sets.
    pub const ALL: [PointSet; 4] =
        [PointSet::Ring, PointSet::Moons, PointSet::Spiral, PointSet::Checkerboard];

    /// The set of that name, in lower case.
    pub fn from_name(name: &str) -> Option<PointSet> {
        PointSet::ALL.into_iter().find(|set| set.name() == name)
    }

    /// `count` of the points that are learned from and held out, from `first` on: those are the first ones, and held-out
    /// ones come after them. `[count, 2]`.
    pub fn points(&self, first: usize, count: usize) -> Vec<f32> {
        self.sample(Noise::new(SEED, Stream::Data), first as u32, count)
    }

    /// The set's name.
    pub fn name(&self) -> &'static str {
        match self {
            PointSet::Ring => "ring",
            PointSet::Moons => "moons",
            PointSet::Spiral => "spiral",
            PointSet::Checkerboard => "checkerboard",
        }
    }

    /// Number of modes: Gaussians, moons, arms or squares.
    pub fn modes(&self) -> usize {
        match self {
            PointSet::Ring | PointSet::Checkerboard => 8,
            PointSet::Moons | PointSet::Spiral => 2,
        }
    }

    /// Standard deviation of the blur around a mode, and in how many dimensions a sample spreads
    /// around it: 2 around a point, 1 around a curve. `None` for the checkerboard.
    pub fn blur(&self) -> Option<(f64, u32)> {
        match self {
            PointSet::Ring => Some((0.2, 2)),
            PointSet::Moons => Some((0.15, 1)),
            PointSet::Spiral => Some((0.1, 1)),
            PointSet::Checkerboard => None,
        }
    }

    /// Points `first_index` to `first_index + n` of `noise` (stream [`Data`]), as `[n, 2]`.
    ///
    /// [`Data`]: crate::noise::Stream::Data
    pub fn sample(&self, noise: Noise, first_index: u32, n: usize) -> Vec<f32> {
        let mut points = Vec::with_capacity(2 * n);
        for i in 0..n {
            let index = first_index.wrapping_add(i as u32);
            let [mode, position, x, y] = noise.block(index, 0, 0);
            let mode = ((u64::from(mode) * self.modes() as u64) >> 32) as usize;
            let centre = match self {
                PointSet::Ring => ring_mode(mode),
                PointSet::Moons | PointSet::Spiral => self.curve(mode, f64::from(uniform(position))),
                PointSet::Checkerboard => {
                    let [column, row] = square(mode);
                    [column + f64::from(uniform(x)), row + f64::from(uniform(y))]
                }
            };
            let blur = match self.blur() {
                Some((sigma, _)) => {
                    let [a, b, ..] = normals(noise.block(index, 0, 1));
                    [sigma * f64::from(a), sigma * f64::from(b)]
                }
                None => [0.0; 2],
            };
            points.extend([(centre[0] + blur[0]) as f32, (centre[1] + blur[1]) as f32]);
        }
        points
    }

    /// Logarithm of the density at `point`, normalised over the plane; -∞ outside the
    /// checkerboard's squares. For moons and spiral the mixture of Gaussians along the curve is
    /// summed at 512 nodes a curve, which is exact to rounding.
    pub fn log_density(&self, point: [f64; 2]) -> f64 {
        match self {
            PointSet::Ring => log_mixture(point, 0.2, (0..8).map(|mode| (ring_mode(mode), 1.0 / 8.0))),
            PointSet::Moons => log_mixture(point, 0.15, MOONS.iter().map(|node| (node.at, node.weight))),
            PointSet::Spiral => log_mixture(point, 0.1, SPIRAL.iter().map(|node| (node.at, node.weight))),
            PointSet::Checkerboard if on_board(point) => -(8f64.ln()),
            PointSet::Checkerboard => f64::NEG_INFINITY,
        }
    }

    /// Whether `point` is a good sample: whether it lies in the set's 98.9% highest-density region.
    ///
    /// For moons and spiral that is where the density is above a threshold. The Gaussians of the ring
    /// barely overlap, so it is taken as what is within 3σ of one. The checkerboard is uniform, so that any
    /// part of it with that share is such a region; it is taken in the middle of each square, which leaves
    /// out a margin of 0.0028.
    pub fn is_good(&self, point: [f64; 2]) -> bool {
        match self {
            PointSet::Ring => self.nearest(point).distance <= 3.0 * 0.2,
            PointSet::Moons => self.log_density(point) >= MOONS_EDGE,
            PointSet::Spiral => self.log_density(point) >= SPIRAL_EDGE,
            PointSet::Checkerboard => {
                let margin = 0.5 - 0.5 * GOOD_SHARE.sqrt();
                let inside = |v: f64| (margin..=1.0 - margin).contains(&(v - v.floor()));
                on_board(point) && point.into_iter().all(inside)
            }
        }
    }

    /// The mode nearest to `point`.
    pub fn nearest(&self, point: [f64; 2]) -> Nearest {
        match self {
            PointSet::Ring => nearest_of(point, (0..8).map(|m| (m, ring_mode(m)))),
            PointSet::Moons => nearest_of(point, nodes_of(&MOONS)),
            PointSet::Spiral => nearest_of(point, nodes_of(&SPIRAL)),
            PointSet::Checkerboard => {
                let inside = (0..8).map(|m| {
                    let [column, row] = square(m);
                    (m, [point[0].clamp(column, column + 1.0), point[1].clamp(row, row + 1.0)])
                });
                nearest_of(point, inside)
            }
        }
    }

    /// The point at `t` in [0, 1] of curve `arm`, 0 or 1.
    fn curve(&self, arm: usize, t: f64) -> [f64; 2] {
        let sign = if arm == 0 { 1.0 } else { -1.0 };
        match self {
            PointSet::Spiral => {
                // The root makes the points nearly even along the arm.
                let (sin, cos) = sin_cos(SPIRAL_TURN / TAU * t.sqrt());
                let radius = sign * SPIRAL_RADIUS * t.sqrt();
                [radius * cos, radius * sin]
            }
            // The second moon is the first turned by half a turn about the origin.
            _ => {
                let (sin, cos) = sin_cos(0.5 * t);
                let moon = [MOON_RADIUS * (cos - 0.5), MOON_RADIUS * (sin - 0.25)];
                [sign * moon[0], sign * moon[1]]
            }
        }
    }
}

/// Sine and cosine of an angle in turns, by libm: the same on every machine and in a page.
fn sin_cos(turns: f64) -> (f64, f64) {
    libm::sincos(TAU * turns)
}

fn ring_mode(mode: usize) -> [f64; 2] {
    let (sin, cos) = sin_cos(mode as f64 / 8.0);
    [RING_RADIUS * cos, RING_RADIUS * sin]
}

/// Lower left corner of square `mode`: two in each of the four columns.
fn square(mode: usize) -> [f64; 2] {
    let column = mode / 2;
    let row = 2 * (mode % 2) + column % 2;
    [column as f64 - 2.0, row as f64 - 2.0]
}

fn on_board([x, y]: [f64; 2]) -> bool {
    let inside = (-2.0..2.0).contains(&x) && (-2.0..2.0).contains(&y);
    inside && (x.floor() + y.floor()).rem_euclid(2.0) == 0.0
}

/// Quadrature nodes of both curves of `set`, the first half on curve 0.
fn curve_nodes(set: PointSet) -> Vec<Node> {
    let mut nodes = Vec::with_capacity(2 * NODES);
    for arm in 0..2 {
        for i in 0..NODES {
            let s = (i as f64 + 0.5) / NODES as f64;
            // The spiral's nodes are even in the angle s = √t, so dt = 2s ds.
            let (t, jacobian) = if set == PointSet::Spiral { (s * s, 2.0 * s) } else { (s, 1.0) };
            let weight = 0.5 * jacobian / NODES as f64;
            nodes.push(Node { at: set.curve(arm, t), weight });
        }
    }
    nodes
}

/// The nodes of both curves, each with its curve.
fn nodes_of(nodes: &[Node]) -> impl Iterator<Item = (usize, [f64; 2])> {
    nodes.iter().enumerate().map(|(i, node)| (i / NODES, node.at))
}

/// The mode that has the nearest of these places.
fn nearest_of(point: [f64; 2], places: impl Iterator<Item = (usize, [f64; 2])>) -> Nearest {
    let (mut nearest, mut least) = (0, f64::INFINITY);
    for (mode, place) in places {
        let squared = squared(point, place);
        if squared < least {
            (nearest, least) = (mode, squared);
        }
    }
    Nearest { mode: nearest, distance: least.sqrt() }
}

fn squared(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
}

/// log Σ wᵢ N(point; cᵢ, σ²I), with the largest exponent taken out so that it never underflows.
fn log_mixture(
    point: [f64; 2],
    sigma: f64,
    components: impl Iterator<Item = ([f64; 2], f64)> + Clone,
) -> f64 {
    let exponent = |centre| -squared(point, centre) / (2.0 * sigma * sigma);
    let largest = components.clone().map(|(centre, _)| exponent(centre)).fold(f64::NEG_INFINITY, f64::max);
    // Far from most of the components, whose shares vanish in the sum's rounding.
    let shares =
        components.map(|(centre, w)| (exponent(centre) - largest, w)).filter(|(log, _)| *log > -50.0);
    let sum: f64 = shares.map(|(log, w)| w * log.exp()).sum();
    largest + sum.ln() - (TAU * sigma * sigma).ln()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::noise::Stream;

    fn points(set: PointSet, n: usize) -> Vec<[f64; 2]> {
        let flat = set.sample(Noise::new(5, Stream::Data), 1000, n);
        flat.as_chunks::<2>().0.iter().map(|p| p.map(f64::from)).collect()
    }

    #[test]
    fn densities_integrate_to_one_and_samples_match_their_entropy() {
        for set in PointSet::ALL {
            // The midpoint rule: cells of σ/2 of the narrowest set, which meet the checkerboard's edges.
            let (n, h) = (240, 12.0 / 240.0);
            let (mut mass, mut negentropy) = (0.0, 0.0);
            for i in 0..n * n {
                let at = [i % n, i / n].map(|k| (k as f64 + 0.5) * h - 6.0);
                let log = set.log_density(at);
                if log > -100.0 {
                    mass += log.exp() * h * h;
                    negentropy += log * log.exp() * h * h;
                }
            }
            assert!((mass - 1.0).abs() < 1e-6, "{set:?}: mass {mass}");

            let logs: Vec<f64> = points(set, 20_000).iter().map(|&p| set.log_density(p)).collect();
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            let variance = logs.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / logs.len() as f64;
            let error = (variance / logs.len() as f64).sqrt();
            assert!(
                (mean - negentropy).abs() < 4.0 * error + 1e-9,
                "{set:?}: samples {mean}, density {negentropy}"
            );
        }
    }

    #[test]
    fn the_truth_has_the_figures_that_models_are_measured_against() {
        let ring = points(PointSet::Ring, 40_000);
        let mean = |f: &dyn Fn(&[f64; 2]) -> f64| ring.iter().map(f).sum::<f64>() / 40_000.0;
        let likelihood = mean(&|&p| PointSet::Ring.log_density(p));
        assert!((likelihood + 1.70).abs() < 0.02, "{likelihood}");
    }

    #[test]
    fn the_good_are_the_same_share_of_every_set_and_those_of_highest_density() {
        for set in PointSet::ALL {
            let n = 40_000;
            let all = points(set, n);
            let (good, bad): (Vec<_>, Vec<_>) = all.into_iter().partition(|&p| set.is_good(p));
            let share = good.len() as f64 / n as f64;
            let error = (GOOD_SHARE * (1.0 - GOOD_SHARE) / n as f64).sqrt();
            assert!((share - GOOD_SHARE).abs() < 4.0 * error, "{set:?}: {share}");
            let log = |points: &[[f64; 2]]| points.iter().map(|&p| set.log_density(p)).collect::<Vec<_>>();
            let lowest = log(&good).into_iter().fold(f64::INFINITY, f64::min);
            let highest = log(&bad).into_iter().fold(f64::NEG_INFINITY, f64::max);
            // Between the ring's Gaussians their tails add.
            let slack = if set == PointSet::Ring { 0.1 } else { 1e-9 };
            assert!(lowest >= highest - slack, "{set:?}: {lowest} {highest}");
            assert!(!set.is_good([9.0, 9.0]));
        }
    }

    #[test]
    fn samples_lie_in_their_modes_and_fill_them_evenly() {
        for set in PointSet::ALL {
            let n = 16_000;
            let mut counts = vec![0usize; set.modes()];
            let mut near = 0;
            for p in points(set, n) {
                let nearest = set.nearest(p);
                counts[nearest.mode] += 1;
                near += usize::from(nearest.distance <= set.blur().map_or(1e-6, |(s, _)| 4.0 * s));
            }
            assert!(near as f64 >= 0.998 * n as f64, "{set:?}: {near}");
            let expected = n as f64 / set.modes() as f64;
            for count in counts {
                assert!((count as f64 - expected).abs() < 5.0 * expected.sqrt(), "{set:?} {count}");
            }
        }
    }

    #[test]
    fn the_first_gaussian_is_at_angle_zero_and_far_points_have_finite_densities() {
        assert_eq!(ring_mode(0), [2.0, 0.0]);
        assert_eq!(PointSet::Ring.nearest([2.1, 0.0]).mode, 0);
        for set in [PointSet::Ring, PointSet::Moons, PointSet::Spiral] {
            assert!(set.log_density([60.0, -60.0]).is_finite());
        }
    }

    #[test]
    fn a_later_range_of_indices_continues_the_same_sequence() {
        let noise = Noise::new(9, Stream::Data);
        let all = PointSet::Spiral.sample(noise, 0, 10);
        assert_eq!(all[8..], PointSet::Spiral.sample(noise, 4, 6));
    }

    #[test]
    fn names_name_their_sets() {
        for set in PointSet::ALL {
            assert_eq!(PointSet::from_name(set.name()), Some(set));
        }
        assert_eq!(PointSet::from_name("Ring"), None);
    }
}
