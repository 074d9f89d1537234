//! Where chains of the plane have been.

use std::collections::VecDeque;

/// States that are kept of all chains, and chains whose states are kept.
const KEPT: usize = 24;
const CHAINS: usize = 512;
/// States that are kept of the chosen chain.
const LONGEST: usize = 2_000;

/// The last states of chains, and the way of one of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trails {
    rows: VecDeque<Vec<[f32; 2]>>,
    path: Vec<[f32; 2]>,
    of: Option<usize>,
}

impl Trails {
    /// Take in the states of all chains, `[n, 2]`, and of the chosen one. Another choice begins a new path.
    pub fn push(&mut self, states: &[f32], chosen: Option<usize>) {
        let points = states.as_chunks::<2>().0;
        if self.rows.len() == KEPT {
            self.rows.pop_front();
        }
        self.rows.push_back(points.iter().take(CHAINS).copied().collect());
        if chosen != self.of {
            self.path.clear();
            self.of = chosen;
        }
        if let Some(point) = chosen.and_then(|chain| points.get(chain)) {
            if self.path.len() == LONGEST {
                // The older half is drawn more coarsely than it was.
                let mut keep = false;
                self.path.retain(|_| {
                    keep = !keep;
                    keep
                });
            }
            self.path.push(*point);
        }
    }

    /// The way of the chosen chain, since it was chosen.
    pub fn path(&self) -> &[[f32; 2]] {
        &self.path
    }

    /// Pieces of all trails with their age, 0 for the newest to 1.
    pub fn pieces(&self) -> impl Iterator<Item = ([f32; 2], [f32; 2], f32)> + '_ {
        let newest = self.rows.len().saturating_sub(2);
        self.rows.iter().zip(self.rows.iter().skip(1)).enumerate().flat_map(move |(i, (from, to))| {
            let age = (newest - i) as f32 / KEPT as f32;
            from.iter().zip(to).map(move |(from, to)| (*from, *to, age))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trails_are_short_and_the_path_of_one_chain_is_long() {
        let mut trails = Trails::default();
        for step in 0..100 {
            trails.push(&[step as f32, 0.0, 0.0, step as f32], Some(1));
        }
        assert_eq!(trails.path().len(), 100);
        assert_eq!(trails.path()[99], [0.0, 99.0]);
        let pieces: Vec<_> = trails.pieces().collect();
        assert_eq!(pieces.len(), 2 * (KEPT - 1));
        assert_eq!(pieces[0].0, [76.0, 0.0]);
        assert_eq!((pieces[2 * KEPT - 3].1, pieces[2 * KEPT - 3].2), ([0.0, 99.0], 0.0));
        trails.push(&[0.0; 4], Some(0));
        assert_eq!(trails.path().len(), 1, "another chain has another path");
        for _ in 0..5_000 {
            trails.push(&[0.0; 4], Some(0));
        }
        assert!(trails.path().len() <= LONGEST);
        trails.push(&[0.0; 4], None);
        assert!(trails.path().is_empty());
    }
}
