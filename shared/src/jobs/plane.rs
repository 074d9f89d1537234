//! How good a model of the plane is, where the density of its data is known.

use crate::points::PointSet;

/// The square that is integrated over, and points along each of its sides.
const SIDE: f64 = 6.0;
const POINTS: usize = 401;

/// How good samples of the plane are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Share of good samples, which lie in the set's 98.9% highest-density region.
    pub good_share: f64,
    /// Of all samples, the share of good ones in the mode that has the fewest.
    pub smallest_mode: f64,
    /// Mean squared distance of the good samples from their mode in units of its expectation, Dσ² in D dimensions; none
    /// for a set that is not blurred.
    pub spread: Option<f64>,
}

/// How good `points`, `[n, 2]`, are as samples of `set`.
pub fn quality(set: PointSet, points: &[f32]) -> Quality {
    let mut judge = Judge::new(set);
    judge.add(points);
    judge.quality()
}

/// The quality of samples that may be judged in parts.
#[derive(Clone, Debug)]
pub struct Judge {
    set: PointSet,
    /// How many samples there were, and how many of them good ones in each mode.
    count: usize,
    modes: Vec<usize>,
    /// Sum of the good ones' squared distances from their modes.
    squares: f64,
}

impl Judge {
    /// A judge of samples of `set`, who has seen none.
    pub fn new(set: PointSet) -> Judge {
        Judge { set, count: 0, modes: vec![0; set.modes()], squares: 0.0 }
    }

    /// Judge `points`, `[n, 2]`, too.
    pub fn add(&mut self, points: &[f32]) {
        for point in points.as_chunks::<2>().0.iter().map(|point| point.map(f64::from)) {
            self.count += 1;
            if self.set.is_good(point) {
                let nearest = self.set.nearest(point);
                self.modes[nearest.mode] += 1;
                self.squares += nearest.distance.powi(2);
            }
        }
    }

    /// How good all of them are.
    pub fn quality(&self) -> Quality {
        let good: usize = self.modes.iter().sum();
        let count = self.count as f64;
        Quality {
            good_share: good as f64 / count,
            smallest_mode: self.modes.iter().min().copied().unwrap_or(0) as f64 / count,
            spread: self.set.blur().map(|(sigma, dimensions)| {
                self.squares / good.max(1) as f64 / (f64::from(dimensions) * sigma * sigma)
            }),
        }
    }
}

/// The integral of exp(-E/T) over [-6, 6]², on a grid of points that may be taken in parts.
#[derive(Clone, Debug)]
pub struct Quadrature {
    temperature: f64,
    /// Points along a side.
    points: usize,
    /// How many points have been taken.
    taken: usize,
    /// The lowest energy so far, and the sum of exp((lowest - E)/T).
    lowest: f64,
    sum: f64,
}

impl Quadrature {
    /// An integral on 401² points at this temperature, of which nothing is taken yet.
    pub fn new(temperature: f64) -> Quadrature {
        Quadrature::of(temperature, POINTS)
    }

    /// An integral on `points`² points. 121 of them are enough for a density whose features are no finer than their
    /// distance of 0.1.
    pub fn of(temperature: f64, points: usize) -> Quadrature {
        Quadrature { temperature, points, taken: 0, lowest: f64::INFINITY, sum: 0.0 }
    }

    /// At most `count` points whose energies are to be added next, `[n, 2]`; none when all are taken.
    pub fn next_points(&self, count: usize) -> Vec<f32> {
        let step = 2.0 * SIDE / (self.points - 1) as f64;
        let at = |i: usize| (i as f64 * step - SIDE) as f32;
        let all = self.points * self.points;
        (self.taken..all.min(self.taken.saturating_add(count)))
            .flat_map(|i| [at(i % self.points), at(i / self.points)])
            .collect()
    }

    /// Add the energies of the points that were given last.
    pub fn add(&mut self, energies: &[f32]) {
        self.taken += energies.len();
        let lowest = energies.iter().fold(self.lowest, |low, &e| low.min(f64::from(e)));
        if lowest < self.lowest {
            self.sum *= ((lowest - self.lowest) / self.temperature).exp();
            self.lowest = lowest;
        }
        self.sum += energies.iter().map(|&e| ((lowest - f64::from(e)) / self.temperature).exp()).sum::<f64>();
    }

    /// Share of the points that are taken.
    pub fn done(&self) -> f64 {
        self.taken as f64 / (self.points * self.points) as f64
    }

    /// Mean log-likelihood of samples of these energies, once all points are taken.
    pub fn log_likelihood(&self, energies: &[f32]) -> Option<f64> {
        if self.taken < self.points * self.points {
            return None;
        }
        let step = 2.0 * SIDE / (self.points - 1) as f64;
        let log_z = self.sum.ln() - self.lowest / self.temperature + 2.0 * step.ln();
        let mean = energies.iter().map(|&e| f64::from(e)).sum::<f64>() / energies.len() as f64;
        Some(-mean / self.temperature - log_z)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::noise::{Noise, Stream};

    #[test]
    fn the_truth_looks_like_the_truth() {
        let ring = PointSet::Ring.sample(Noise::new(3, Stream::Data), 0, 40_000);
        let q = quality(PointSet::Ring, &ring);
        assert!((q.good_share - 0.989).abs() < 0.003);
        assert!((q.spread.unwrap() - 0.95).abs() < 0.02);
        assert!(q.smallest_mode > 0.115);
        let mut judge = Judge::new(PointSet::Ring);
        ring.chunks(2 * 777).for_each(|part| judge.add(part));
        assert_eq!(judge.quality(), q, "the same in parts");
        assert_eq!(quality(PointSet::Checkerboard, &[0.5, 0.5]).spread, None);
    }

    #[test]
    fn points_on_the_modes_have_no_spread_and_one_mode_is_found_out() {
        let q = quality(PointSet::Ring, &[2.0, 0.0].repeat(10));
        assert_eq!((q.good_share, q.smallest_mode, q.spread), (1.0, 0.0, Some(0.0)));
        assert_eq!(quality(PointSet::Ring, &[0.0, 0.0, 2.0, 0.1]).good_share, 0.5);
    }

    /// A Gaussian's integral is known; it does not matter in which parts it is taken, or where the lowest energy comes.
    #[test]
    fn an_integral_is_the_same_in_parts() {
        let energy = |p: &[f32]| (p[0] - 1.0).powi(2) / 2.0 + (p[1] + 0.5).powi(2) / 2.0 - 300.0;
        for (temperature, part) in [(1.0, 1 << 20), (1.0, 1000), (0.25, 777)] {
            let mut quadrature = Quadrature::new(temperature);
            assert_eq!(quadrature.log_likelihood(&[0.0]), None);
            loop {
                let points = quadrature.next_points(part);
                if points.is_empty() {
                    break;
                }
                let energies: Vec<f32> = points.chunks(2).map(energy).collect();
                quadrature.add(&energies);
            }
            assert_eq!(quadrature.done(), 1.0);
            // log N(mean; mean, T·I) = -log 2πT.
            let found = quadrature.log_likelihood(&[-300.0]).unwrap();
            let expected = -(std::f64::consts::TAU * temperature).ln();
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
    }
}
