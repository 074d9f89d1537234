//! What a landscape tells of its model and its chains in numbers, and chains that start where the reader points.

use super::Instance;
use crate::account::JUDGED;
use crate::choices::ViewKind;
use crate::film::Film;
use crate::history::History;
use crate::problem::Problem;
use crate::trails::Trails;
use dual_mcmc::jobs::Quality;

impl Instance {
    /// Whether the landscape is what is shown.
    pub(super) fn shows_landscape(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| settings.view == ViewKind::Landscape)
    }

    /// Whether energies for the log-likelihood are still to be computed.
    pub(super) fn counts(&self) -> bool {
        self.shows_landscape() && self.account.as_ref().is_some_and(|account| account.is_open())
    }

    /// Compute some more of them.
    pub(super) async fn count_up(&mut self) -> Result<(), Problem> {
        if !self.counts() || !self.visible {
            return Ok(());
        }
        let (Some(engine), Some(account)) = (&self.engine, &mut self.account) else { return Ok(()) };
        let wanted = account.wanted();
        account.take(engine.energies(&wanted).await?);
        if !account.is_open() {
            self.judge().await?;
        }
        Ok(())
    }

    /// Judge the chains as they are, and show how good they and the model are, beside the truth.
    pub(super) async fn judge(&mut self) -> Result<(), Problem> {
        let (Some(engine), Some(account), Some(settings)) = (&self.engine, &self.account, &self.settings)
        else {
            self.refs.show("account", false);
            return Ok(());
        };
        let shown = settings.view == ViewKind::Landscape;
        self.refs.show("account", shown);
        if !shown {
            return Ok(());
        }
        let quality = account.judge(&engine.state().await?);
        let likelihood = account.log_likelihood(settings.langevin.temperature().into());
        let truth = account.truth();
        let waits = if account.is_open() { "…" } else { "–" };
        // As many digits as stand beside them, so that they can be compared.
        let number = |value: f64| format!("{value:.3}").replace('-', "−");
        let of = |quality: &Quality| [number(quality.good_share), number(quality.smallest_mode)];
        let [good, smallest] = of(&quality);
        let [true_good, true_smallest] = match &truth {
            Some((truth, _)) => of(truth),
            None => ["…", "…"].map(String::from),
        };
        for (name, words) in [
            ("good-share", good),
            ("true-good-share", true_good),
            ("smallest-mode", smallest),
            ("true-smallest-mode", true_smallest),
            ("log-likelihood", likelihood.map_or(waits.into(), number)),
            ("true-log-likelihood", truth.map_or("…".into(), |(_, log_density)| number(log_density))),
            ("judged", settings.chains.min(JUDGED).to_string()),
        ] {
            self.refs.set_text(name, &words);
        }
        (self.quality, self.likelihood) = (Some(quality), likelihood);
        Ok(())
    }

    /// Start the first chain where the reader has pointed; the others go on from where they are.
    pub(super) async fn begin_where_pointed(&mut self) -> Result<(), Problem> {
        let Some([x, y]) = self.begin_at.take() else { return Ok(()) };
        let (Some(engine), Some(settings)) = (&mut self.engine, &self.settings) else { return Ok(()) };
        if !engine.runs() {
            return Ok(());
        }
        let mut states = engine.state().await?;
        if let [first_x, first_y, ..] = &mut states[..] {
            (*first_x, *first_y) = (x, y);
        }
        engine.start_at(&states, settings.seed).await?;
        self.history = History::of(settings.starts.len());
        self.trails = Trails::default();
        self.trails.push(&states, Some(0));
        self.film = Film::of(states);
        self.scrub = None;
        self.before = None;
        self.choose("chain", Some("1".into()));
        self.redraw = true;
        self.refs.set_text(
            "status",
            "Chain 1 starts where you have pointed; the others go on from where they are.",
        );
        Ok(())
    }
}
