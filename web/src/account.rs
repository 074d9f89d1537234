//! Numbers that hold a model of the plane to account, where the density of its data is known.

use dual_mcmc::jobs::{Quadrature, Quality, quality};
use dual_mcmc::points::{PointSet, TRAINING_POINTS};

/// Held-out points that a likelihood is the mean over.
const HELD_OUT: usize = 2_000;

/// Points of the quadrature whose energies are asked for at once.
const AT_ONCE: usize = 1 << 13;

/// Chains whose quality is judged.
pub const JUDGED: usize = 512;

/// The account of a model.
pub struct Account {
    set: PointSet,
    held_out: Vec<f32>,
    /// Energies of the quadrature's points so far, and of the held-out points behind them.
    energies: Vec<f32>,
    of_held_out: Vec<f32>,
    /// How good the held-out points themselves are, and their mean log-density.
    pub truth: (Quality, f64),
}

impl Account {
    /// The account of a model of this density, of which nothing is known yet.
    pub fn new(set: PointSet) -> Account {
        let held_out = set.points(TRAINING_POINTS, HELD_OUT);
        let points = held_out.as_chunks::<2>().0;
        let densities = points.iter().map(|point| set.log_density(point.map(f64::from)));
        let truth = (quality(set, &held_out), densities.sum::<f64>() / HELD_OUT as f64);
        Account { set, held_out, energies: Vec::new(), of_held_out: Vec::new(), truth }
    }

    /// How good the first chains at `states` are.
    pub fn judge(&self, states: &[f32]) -> Quality {
        quality(self.set, &states[..states.len().min(2 * JUDGED)])
    }

    /// Points whose energies are wanted next, `[n, 2]`; none when all are known.
    pub fn wanted(&self) -> Vec<f32> {
        let mut quadrature = Quadrature::new(1.0);
        // Where it stands does not depend on what the energies are.
        quadrature.add(&self.energies);
        let points = quadrature.next_points(AT_ONCE);
        if points.is_empty() && self.of_held_out.is_empty() { self.held_out.clone() } else { points }
    }

    /// Take in the energies of the points that were wanted last.
    pub fn take(&mut self, energies: Vec<f32>) {
        let mut quadrature = Quadrature::new(1.0);
        quadrature.add(&self.energies);
        if quadrature.done() < 1.0 {
            self.energies.extend(energies);
        } else {
            self.of_held_out = energies;
        }
    }

    /// Whether energies are still wanted.
    pub fn is_open(&self) -> bool {
        self.of_held_out.is_empty()
    }

    /// The mean log-likelihood of held-out points at a temperature, once all energies are known; none without noise, where
    /// there is no density.
    pub fn log_likelihood(&self, temperature: f64) -> Option<f64> {
        if self.is_open() || temperature <= 0.0 {
            return None;
        }
        let mut quadrature = Quadrature::new(temperature);
        quadrature.add(&self.energies);
        quadrature.log_likelihood(&self.of_held_out).filter(|likelihood| likelihood.is_finite())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The account of the truth itself.
    #[test]
    fn an_exact_energy_has_the_likelihood_of_the_truth() {
        let mut account = Account::new(PointSet::Ring);
        assert!(account.truth.0.good_share > 0.97 && account.log_likelihood(1.0).is_none());
        while account.is_open() {
            let points = account.wanted();
            let energy = |p: &[f32]| -PointSet::Ring.log_density([p[0].into(), p[1].into()]) as f32;
            account.take(points.chunks(2).map(energy).collect());
        }
        assert!(account.wanted().is_empty());
        let found = account.log_likelihood(1.0).unwrap();
        assert!((found - account.truth.1).abs() < 1e-3, "{found} {}", account.truth.1);
        assert!(account.log_likelihood(4.0).unwrap() < found - 0.1, "a hotter one is another density");
        assert_eq!(account.log_likelihood(0.0), None);
        let held_out = account.held_out.clone();
        assert!((account.judge(&held_out).good_share - account.truth.0.good_share).abs() < 0.03);
    }
}
