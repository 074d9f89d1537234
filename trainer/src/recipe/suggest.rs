//! "Did you mean": what an unknown key or word was meant to be.

/// How alike two words must be, in Jaro's measure, to be one meant for the other.
const ALIKE: f64 = 0.7;

/// The one of `known` that is most like `word`, if any is like it.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let like = |other: &'a str| {
        // A word that is part of the other: `batches` of `statistics_batches`.
        let part = word.len() > 2 && (other.contains(word) || word.contains(other));
        (strsim::jaro(word, other).max(if part { ALIKE } else { 0.0 }), other)
    };
    let best = known.into_iter().map(like).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(alike, _)| *alike >= ALIKE).map(|(_, other)| other)
}

/// A message of serde, in our words where it is about an unknown key or value: with the nearest known
/// one, or with all of them if none is near.
pub(super) fn explain(message: &str) -> String {
    for (theirs, ours) in [("unknown field `", "unknown key"), ("unknown variant `", "unknown value")] {
        let Some((before, rest)) = message.split_once(theirs) else { continue };
        // What follows in further lines is the place.
        let (rest, place) = rest.split_once('\n').unwrap_or((rest, ""));
        let place = if place.is_empty() { String::new() } else { format!(" {}", place.trim()) };
        let mut quoted = rest.split('`');
        let word = quoted.next().unwrap_or_default();
        // Between the quoted words are commas and the like.
        let known: Vec<&str> = quoted.skip(1).step_by(2).filter(|name| !name.is_empty()).collect();
        let advice = match nearest(word, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None if known.is_empty() => "there are none here".into(),
            None => format!("known are {}", known.join(", ")),
        };
        return format!("{before}{ours} `{word}`{place}; {advice}");
    }
    message.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_meant_or_all_are_named() {
        let fields = "expected one of `type`, `channels`, `weight`";
        for (message, expected) in [
            (format!("unknown field `chanels`, {fields}"), "unknown key `chanels`; did you mean `channels`?"),
            (
                format!("layer `batch_norm`: unknown field `momentum`, {fields}\nin `layers`"),
                "layer `batch_norm`: unknown key `momentum` in `layers`; known are type, channels, weight",
            ),
            ("unknown field `a`, expected `bee` or `sea`".into(), "unknown key `a`; known are bee, sea"),
            ("unknown field `a`, there are no fields".into(), "unknown key `a`; there are none here"),
            (
                "unknown variant `freshh`, expected one of `chain`, `fresh`".into(),
                "unknown value `freshh`; did you mean `fresh`?",
            ),
            ("missing field `rate`".into(), "missing field `rate`"),
        ] {
            assert_eq!(explain(&message), expected);
        }
    }
}
