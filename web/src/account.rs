//! Numbers that hold a model of the plane to account, where the density of its data is known.

use dual_mcmc::jobs::{Judge, Quadrature, Quality, quality};
use dual_mcmc::points::{PointSet, TRAINING_POINTS};

/// Held-out points that a likelihood is the mean over.
const HELD_OUT: usize = 2_000;

/// Points of the quadrature whose energies are asked for at once.
const AT_ONCE: usize = 1 << 13;

/// Held-out points that are judged at once, few enough that the page does not stutter, and so many that all of them are
/// judged before the quadrature has ended.
const JUDGED_AT_ONCE: usize = 128;

/// Chains whose quality is judged.
pub const JUDGED: usize = 512;

/// The account of a model.
pub struct Account {
    set: PointSet,
    held_out: Vec<f32>,
    /// Energies of the quadrature's points so far, and of the held-out points behind them.
    energies: Vec<f32>,
    of_held_out: Vec<f32>,
    /// How good the held-out points themselves are, as far as they have been judged, and the sum of their log-densities.
    judge: Judge,
    judged: usize,
    log_densities: f64,
}

impl Account {
    /// The account of a model of this density, of which nothing is known yet.
    pub fn new(set: PointSet) -> Account {
        Account {
            set,
            held_out: set.points(TRAINING_POINTS, HELD_OUT),
            energies: Vec::new(),
            of_held_out: Vec::new(),
            judge: Judge::new(set),
            judged: 0,
            log_densities: 0.0,
        }
    }

    /// How good the held-out points themselves are, and their mean log-density, once all of them have been judged.
    pub fn truth(&self) -> Option<(Quality, f64)> {
        let all = self.judged == HELD_OUT;
        all.then(|| (self.judge.quality(), self.log_densities / HELD_OUT as f64))
    }

    fn judge_some_held_out(&mut self) {
        let some = self.judged..(self.judged + JUDGED_AT_ONCE).min(HELD_OUT);
        let points = &self.held_out[2 * some.start..2 * some.end];
        self.judge.add(points);
        let points = points.as_chunks::<2>().0.iter();
        self.log_densities += points.map(|point| self.set.log_density(point.map(f64::from))).sum::<f64>();
        self.judged = some.end;
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
        self.judge_some_held_out();
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
        assert!(account.truth().is_none() && account.log_likelihood(1.0).is_none());
        while account.is_open() {
            let points = account.wanted();
            let energy = |p: &[f32]| -PointSet::Ring.log_density([p[0].into(), p[1].into()]) as f32;
            account.take(points.chunks(2).map(energy).collect());
        }
        assert!(account.wanted().is_empty());
        let found = account.log_likelihood(1.0).unwrap();
        let (truth, log_density) = account.truth().unwrap();
        assert_eq!(truth, quality(PointSet::Ring, &account.held_out));
        assert!(truth.good_share > 0.97);
        assert!((found - log_density).abs() < 1e-3, "{found} {log_density}");
        assert!(account.log_likelihood(4.0).unwrap() < found - 0.1, "a hotter one is another density");
        assert_eq!(account.log_likelihood(0.0), None);
        let held_out = account.held_out.clone();
        assert!((account.judge(&held_out).good_share - truth.good_share).abs() < 0.03);
    }
}
