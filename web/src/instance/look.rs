//! A closer look at the chosen chain.

use super::Instance;
use crate::problem::Problem;
use crate::views::{Look, distance};

impl Instance {
    /// Tell the energy of the chosen chain in the frame that is shown, and how far it has come, where that is not known yet.
    pub(super) async fn look(&mut self) -> Result<(), Problem> {
        let (Some(engine), Some(settings), Some(loaded)) = (&self.engine, &self.settings, &self.loaded)
        else {
            return Ok(());
        };
        let (Some(chain), Some(frame)) = (settings.chosen, self.film.at(self.scrub)) else {
            self.look = None;
            return Ok(());
        };
        let known = |look: &Look| (look.chain, look.step) == (chain, frame.step);
        if self.look.as_ref().is_some_and(known) {
            return Ok(());
        }
        let len = loaded.facts.len();
        let of = |states: &[f32]| states.get(chain * len..(chain + 1) * len).map(<[f32]>::to_vec);
        let start = self.film.at(Some(0)).and_then(|first| of(&first.states));
        let (Some(start), Some(now)) = (start, of(&frame.states)) else { return Ok(()) };
        let energy = match loaded.facts.energy {
            true => engine.energies(&now).await?.first().copied(),
            false => None,
        };
        self.look = Some(Look { chain, step: frame.step, energy, distance: distance(&start, &now) });
        Ok(())
    }
}
