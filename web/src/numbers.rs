//! What a figure draws, as tables of numbers.

use crate::choices::Origin;
use crate::explain::readable;
use crate::film::evenly;
use crate::history::History;
use crate::rank;
use dual_mcmc::model::Histogram;

/// Most rows of a table.
const MOST: usize = 64;
/// Steps in the table of a run.
const STEPS: usize = 21;

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What it is about.
    pub caption: String,
    /// The heads of the columns.
    pub head: Vec<String>,
    /// The rows; the first column names them.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    fn new(caption: String, head: &[&str]) -> Table {
        Table { caption, head: head.iter().map(|head| (*head).into()).collect(), rows: Vec::new() }
    }
}

/// How `what` went over the steps, as far as it is kept.
pub fn of_steps(history: &History, what: &str) -> Table {
    let rows = history.rows();
    let mut table = Table::new(
        format!("Over the steps: {what}"),
        &["step", "mean", "a tenth of the chains lie below", "a tenth lie above"],
    );
    for row in evenly(rows.len(), STEPS).into_iter().map(|i| &rows[i]) {
        let numbers = [row.mean, row.low, row.high].map(readable);
        table.rows.push(std::iter::once(row.step.to_string()).chain(numbers).collect());
    }
    table
}

/// The chains as they are: `what` of each, where it has started if there are several `starts`, and its place on a plane.
pub fn of_chains(figures: &[f32], starts: &[Origin], plane: Option<&[f32]>, what: &str) -> Table {
    let (count, shown) = (figures.len(), figures.len().min(MOST));
    let of = if shown < count { format!("the first {shown} of {count} chains") } else { "the chains".into() };
    let mut head = vec!["chain", what];
    if starts.len() > 1 {
        head.push("from");
    }
    if plane.is_some() {
        head.extend(["x₁", "x₂"]);
    }
    let mut table = Table::new(format!("Now: {of}"), &head);
    let each = count / starts.len().max(1);
    for (chain, figure) in figures.iter().take(MOST).enumerate() {
        let mut row = vec![(chain + 1).to_string(), readable(*figure)];
        if starts.len() > 1 {
            row.push(starts.get(chain / each.max(1)).map_or(String::new(), |origin| origin.word().into()));
        }
        if let Some(point) = plane.and_then(|points| points.get(2 * chain..2 * chain + 2)) {
            row.extend(point.iter().map(|value| readable(*value)));
        }
        table.rows.push(row);
    }
    table
}

/// The histograms of energies.
pub fn of_histograms(histograms: &[Histogram]) -> Table {
    let head = [
        "samples",
        "how many",
        "half lie below",
        "a twentieth lies below",
        "a twentieth lies above",
        "AUROC",
    ];
    let mut table = Table::new("Energies that the model’s file tells of".into(), &head);
    for histogram in histograms {
        let at = |share| rank::quantile(histogram, share).map_or("–".into(), readable);
        let auroc = histogram.auroc.map_or("–".into(), |auroc| format!("{auroc:.3}"));
        let [median, low, high] = [0.5, 0.05, 0.95].map(at);
        table.rows.push(vec![
            rank::kind(&histogram.name),
            histogram.total().to_string(),
            median,
            low,
            high,
            auroc,
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use dual_mcmc::chain::Trace;

    #[test]
    fn a_long_run_is_a_short_table() {
        let mut history = History::default();
        history.absorb(&Trace { first_step: 0, chains: 2, values: (0..200).map(|i| i as f32).collect() });
        let table = of_steps(&history, "Energy");
        assert_eq!((table.rows.len(), table.head.len()), (STEPS, 4));
        assert_eq!(table.rows[0][..2], ["0", "0.5"]);
        assert_eq!(table.rows[STEPS - 1][..2], ["99", "198"]);
    }

    #[test]
    fn chains_say_where_they_started_and_where_they_are() {
        let origins = [Origin::Generator, Origin::Noise];
        let table = of_chains(&[-1.0, 2.0], &origins, Some(&[0.5, 1.0, 2.0, -3.0]), "energy");
        assert_eq!(table.head, ["chain", "energy", "from", "x₁", "x₂"]);
        assert_eq!(table.rows[1], ["2", "2", "noise", "2", "−3"]);
        let many = of_chains(&[0.0; 100], &origins[..1], None, "energy");
        assert_eq!((many.rows.len(), many.caption.as_str()), (64, "Now: the first 64 of 100 chains"));
    }

    #[test]
    fn histograms_are_told_by_their_quantiles() {
        let histogram = Histogram {
            name: "uniform_noise".into(),
            range: [0.0, 10.0],
            counts: vec![10; 10],
            auroc: Some(0.98765),
        };
        let table = of_histograms(&[histogram]);
        assert_eq!(table.rows, [["uniform noise", "100", "5", "0.5", "9.5", "0.988"]]);
    }
}
