//! Where an energy stands among those that the model's file tells of, in words.

use crate::explain::readable;
use dual_mcmc::model::Histogram;

/// The histogram of held-out data.
const DATA: &str = "held_out_data";

/// Histograms of samples that are no data, nor the model's own.
fn is_foreign(histogram: &Histogram) -> bool {
    histogram.auroc.is_some()
}

/// The share of a histogram's samples whose energies lie below `energy`; within a bin they are taken to be spread evenly.
pub fn share_below(histogram: &Histogram, energy: f32) -> f64 {
    let [low, high] = histogram.range.map(f64::from);
    let energy = f64::from(energy);
    if energy.is_nan() || energy <= low {
        return 0.0;
    }
    if energy >= high {
        return 1.0;
    }
    let bins = histogram.counts.len();
    let at = (energy - low) / (high - low) * bins as f64;
    let bin = (at as usize).min(bins - 1);
    let whole: u64 = histogram.counts[..bin].iter().map(|count| u64::from(*count)).sum();
    (whole as f64 + (at - bin as f64) * f64::from(histogram.counts[bin])) / histogram.total() as f64
}

/// The energy that this share of a histogram's samples lies below; none where it has no samples.
pub fn quantile(histogram: &Histogram, share: f64) -> Option<f32> {
    let wanted = share * histogram.total() as f64;
    let [low, high] = histogram.range.map(f64::from);
    let mut below = 0.0;
    for (bin, &count) in histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let count = f64::from(count);
        if below + count >= wanted {
            let at = (bin as f64 + (wanted - below) / count) / histogram.counts.len() as f64;
            return Some((low + at * (high - low)) as f32);
        }
        below += count;
    }
    None
}

/// What a histogram's samples are, in words.
pub fn kind(name: &str) -> String {
    match name {
        DATA => "held-out data".into(),
        "generator" => "the generator’s samples".into(),
        "noise" => "noise, where chains start".into(),
        "x_chain" => "samples after the x-chain".into(),
        "uniform_noise" => "uniform noise".into(),
        "shuffled_values" => "data with their pixels shuffled".into(),
        "constant" => "single tones".into(),
        "inverted" => "data inverted".into(),
        "upside_down" => "data upside down".into(),
        "halves_of_two" => "halves of two samples".into(),
        "noise_added" => "data under noise".into(),
        other => other.replace('_', " "),
    }
}

fn percent(share: f64) -> String {
    match 100.0 * share {
        p if p > 99.0 && share < 1.0 => "more than 99%".into(),
        p if p < 1.0 && share > 0.0 => "less than 1%".into(),
        p => format!("{p:.0}%"),
    }
}

/// What an energy's place among held-out data and the other kinds means.
pub fn words(energy: f32, histograms: &[Histogram]) -> String {
    let Some(data) = histograms.iter().find(|histogram| histogram.name == DATA) else {
        return format!(
            "Its energy is {}. The model’s file does not say what energies data have (“dual-mcmc annotate” adds that).",
            readable(energy)
        );
    };
    let below = share_below(data, energy);
    let verdict = match below {
        b if b >= 1.0 => "more than any of them: the model takes it for no data",
        b if b > 0.95 => "an unlikely one for data",
        b if b < 0.05 => "less than nearly all of them: either very typical, or liked more than data",
        _ => "as data have",
    };
    format!(
        "Its energy is {}, higher than that of {} of held-out data: {verdict}.",
        readable(energy),
        percent(below)
    )
}

/// Where the model is wrong, a sentence for each kind of samples that it prefers to data or hardly tells from them.
pub fn faults(histograms: &[Histogram]) -> Vec<String> {
    let foreign = histograms.iter().filter(|histogram| is_foreign(histogram));
    foreign
        .filter_map(|histogram| {
            let area = histogram.auroc?;
            let kind = kind(&histogram.name);
            match area {
                a if a < 0.5 => Some(format!("This energy prefers {kind} to data (AUROC {a:.2}).")),
                a if a < 0.9 => Some(format!("This energy hardly tells {kind} from data (AUROC {a:.2}).")),
                _ => None,
            }
        })
        .collect()
}

/// The energies that a plot of the histograms spans: those of held-out data with room around them, and `energy` if it is
/// near. What lies beyond is shown at the edge.
pub fn span(histograms: &[Histogram], energy: Option<f32>) -> [f32; 2] {
    let own = histograms.iter().filter(|histogram| !is_foreign(histogram));
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for histogram in own {
        (low, high) = (low.min(histogram.range[0]), high.max(histogram.range[1]));
    }
    if low > high {
        let at = energy.unwrap_or(0.0);
        return [at - 1.0, at + 1.0];
    }
    let reach = (high - low).max(1e-6);
    if let Some(energy) = energy.filter(|e| *e > low - reach && *e < high + 3.0 * reach) {
        (low, high) = (low.min(energy), high.max(energy));
    }
    [low - 0.35 * reach, high + 0.75 * reach]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn histogram(name: &str, range: [f32; 2], counts: &[u32], auroc: Option<f64>) -> Histogram {
        Histogram { name: name.into(), range, counts: counts.to_vec(), auroc }
    }

    #[test]
    fn a_share_is_counted_in_bins_and_within_them() {
        let data = histogram(DATA, [0.0, 4.0], &[1, 3, 0, 4], None);
        for (energy, share) in [
            (-1.0, 0.0),
            (0.5, 0.0625),
            (1.0, 0.125),
            (2.0, 0.5),
            (3.0, 0.5),
            (3.5, 0.75),
            (4.0, 1.0),
            (9.0, 1.0),
        ] {
            assert_eq!(share_below(&data, energy), share, "{energy}");
        }
        let alike = histogram(DATA, [2.0, 2.0], &[5], None);
        assert_eq!((share_below(&alike, 1.9), share_below(&alike, 2.1)), (0.0, 1.0));
        // As many as there are: a histogram of made energies against the energies themselves.
        let energies: Vec<f32> = (0..500).map(|i| ((i * 7919) % 500) as f32 / 500.0).collect();
        let made = Histogram::of(DATA, &energies, None).unwrap();
        for energy in [0.1, 0.33, 0.72] {
            let counted = energies.iter().filter(|e| **e < energy).count() as f64 / 500.0;
            assert!((share_below(&made, energy) - counted).abs() < 0.01);
        }
    }

    #[test]
    fn a_rank_and_the_models_faults_are_said() {
        let all = [
            histogram(DATA, [0.0, 1.0], &[50, 50], None),
            histogram("uniform_noise", [-2.0, -1.0], &[10], Some(0.03)),
            histogram("constant", [0.5, 9.0], &[10], Some(0.8)),
            histogram("mnist", [5.0, 9.0], &[10], Some(0.99)),
        ];
        assert!(words(0.5, &all).contains("higher than that of 50% of held-out data: as data have"));
        assert!(words(3.0, &all).contains("100% of held-out data: more than any"));
        assert!(words(0.999, &all).contains("more than 99%"));
        assert!(words(0.5, &[]).contains("annotate"));
        assert_eq!(
            faults(&all),
            [
                "This energy prefers uniform noise to data (AUROC 0.03).",
                "This energy hardly tells single tones from data (AUROC 0.80)."
            ]
        );
        let [low, high] = span(&all, Some(2.5));
        assert!(low < 0.0 && high > 2.5 && high < 5.0, "{low} {high}");
        assert!(span(&all, Some(100.0))[1] < 3.0, "what is far away does not flatten the rest");
        assert_eq!(span(&[], Some(2.0)), [1.0, 3.0]);
    }
}
