//! Energies over the steps of a run, as the plot needs them: all chains summarised, a few kept.

use dual_mcmc::chain::Trace;

/// Chains whose energies are kept one by one.
const KEPT: usize = 256;
/// When there are this many rows, every second one is dropped.
const MOST_ROWS: usize = 2048;

/// The energies of all chains at one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Steps taken before.
    pub step: u32,
    /// Mean over the chains.
    pub mean: f32,
    /// The energy that a tenth of the chains lie below.
    pub low: f32,
    /// The energy that a tenth of the chains lie above.
    pub high: f32,
    /// Means over the chains of each start.
    pub means: Vec<f32>,
    /// Energies of the first 256 chains.
    pub chains: Vec<f32>,
}

impl Row {
    fn new(step: u32, energies: &[f32], groups: usize) -> Row {
        let mut sorted = energies.to_vec();
        sorted.sort_by(f32::total_cmp);
        let at = |p: f64| sorted[((sorted.len() - 1) as f64 * p).round() as usize];
        let each = energies.len().div_ceil(groups.max(1));
        Row {
            step,
            mean: mean(energies),
            means: energies.chunks(each).map(mean).collect(),
            low: at(0.1),
            high: at(0.9),
            chains: energies[..energies.len().min(KEPT)].to_vec(),
        }
    }
}

fn mean(energies: &[f32]) -> f32 {
    (energies.iter().map(|&e| f64::from(e)).sum::<f64>() / energies.len() as f64) as f32
}

/// The rows of a run, oldest first.
#[derive(Clone, Debug)]
pub struct History {
    rows: Vec<Row>,
    stride: u32,
    next: u32,
    current: Vec<f32>,
    /// Starts that share the chains.
    groups: usize,
}

impl Default for History {
    fn default() -> History {
        History { rows: Vec::new(), stride: 1, next: 0, current: Vec::new(), groups: 1 }
    }
}

impl History {
    /// A history of chains from so many starts, one after the other with as many chains each.
    pub fn of(groups: usize) -> History {
        History { groups, ..History::default() }
    }

    /// Take in what `trace` holds beyond what is known already.
    pub fn absorb(&mut self, trace: &Trace) {
        for (k, energies) in trace.rows().enumerate() {
            let step = trace.first_step + k as u32;
            if step < self.next || energies.is_empty() {
                continue;
            }
            self.next = step + 1;
            if step.is_multiple_of(self.stride) {
                self.rows.push(Row::new(step, energies, self.groups));
            }
            if self.rows.len() >= MOST_ROWS {
                self.stride *= 2;
                let stride = self.stride;
                self.rows.retain(|row| row.step.is_multiple_of(stride));
            }
        }
        self.current = trace.last().to_vec();
    }

    /// The rows kept, oldest first, at even distances.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Energies of all chains at the last step taken in.
    pub fn current(&self) -> &[f32] {
        &self.current
    }

    /// The last step taken in, if any.
    pub fn last_step(&self) -> Option<u32> {
        self.next.checked_sub(1)
    }

    /// Mean of the current energies.
    pub fn mean(&self) -> Option<f32> {
        (!self.current.is_empty()).then(|| mean(&self.current))
    }

    /// Whether every energy known is a finite number.
    pub fn finite(&self) -> bool {
        self.current.iter().all(|e| e.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(first_step: u32, rows: &[&[f32]]) -> Trace {
        Trace { first_step, chains: rows[0].len(), values: rows.concat() }
    }

    #[test]
    fn overlapping_traces_give_each_step_once() {
        let mut history = History::default();
        history.absorb(&trace(0, &[&[4.0, 6.0], &[3.0, 5.0]]));
        history.absorb(&trace(1, &[&[3.0, 5.0], &[1.0, 2.0]]));
        let means: Vec<_> = history.rows().iter().map(|row| (row.step, row.mean)).collect();
        assert_eq!(means, [(0, 5.0), (1, 4.0), (2, 1.5)]);
        assert_eq!(
            (history.current(), history.mean(), history.last_step()),
            (&[1.0, 2.0][..], Some(1.5), Some(2))
        );
    }

    #[test]
    fn each_start_has_a_mean_of_its_own() {
        let mut history = History::of(2);
        history.absorb(&trace(0, &[&[4.0, 6.0, 1.0, 2.0]]));
        let row = &history.rows()[0];
        assert_eq!((row.mean, row.means.as_slice()), (3.25, &[5.0, 1.5][..]));
    }

    #[test]
    fn a_long_run_is_thinned_evenly() {
        let mut history = History::default();
        for step in 0..20_000u32 {
            history.absorb(&trace(step, &[&[step as f32]]));
        }
        let rows = history.rows();
        assert!(rows.len() < MOST_ROWS && rows.len() > MOST_ROWS / 4);
        let stride = rows[1].step;
        assert!(rows.windows(2).all(|w| w[1].step - w[0].step == stride));
        assert!(20_000 - rows[rows.len() - 1].step <= stride);
    }

    #[test]
    fn the_band_holds_eight_tenths_of_the_chains() {
        let energies: Vec<f32> = (0..=100).map(|i| i as f32).collect();
        let mut history = History::default();
        history.absorb(&trace(0, &[&energies]));
        let row = &history.rows()[0];
        assert_eq!((row.low, row.high, row.mean, row.chains.len()), (10.0, 90.0, 50.0, 101));
    }
}
