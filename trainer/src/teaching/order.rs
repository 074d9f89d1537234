//! The order of the training data: a shuffle of each epoch that is computed index by index, so
//! that a resumed run needs nothing but its seed and iteration.

use dual_mcmc::noise::{Noise, Stream};

/// Fewest samples that own data may have.
pub const FEWEST: usize = 10;

/// How many of so many samples of own data are held out, the last ones: a tenth, at least 2, which have a spread, and at
/// most 10,000.
pub fn held_out_of(count: usize) -> usize {
    (count / 10).clamp(2, 10_000)
}

/// Rows of the batch of `iteration`.
pub(crate) fn batch_indices(seed: u64, iteration: u64, batch: usize, data_len: usize) -> Vec<usize> {
    assert!(data_len > 0, "there are no data");
    let batches = ((data_len / batch) as u64).max(1);
    let (epoch, first) = (iteration / batches, (iteration % batches) as usize * batch);
    (first..first + batch).map(|i| shuffled(seed, epoch, data_len, i % data_len)).collect()
}

/// Where `index` of `0..len` goes in the shuffle of `epoch`: a Feistel network over the smallest
/// even number of bits that holds `len`, applied again until the result is inside.
fn shuffled(seed: u64, epoch: u64, len: usize, index: usize) -> usize {
    const ROUNDS: u32 = 6;
    let noise = Noise::new(seed, Stream::Shuffle);
    let bits = usize::BITS - (len - 1).leading_zeros();
    let half = bits.div_ceil(2).max(1);
    let mask = (1usize << half) - 1;
    let mut x = index;
    loop {
        let (mut left, mut right) = (x >> half, x & mask);
        for round in 0..ROUNDS {
            let mixed = noise.block(right as u32, epoch as u32, round)[0] as usize;
            (left, right) = (right, left ^ (mixed & mask));
        }
        x = left << half | right;
        if x < len {
            return x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_holds_every_row_once_and_drops_a_short_batch() {
        for len in [1, 2, 3, 64, 65, 1000, 4097] {
            let mut all: Vec<usize> = (0..len).map(|i| shuffled(5, 3, len, i)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..len).collect::<Vec<_>>());
        }
        let epoch: Vec<usize> = (0..15).flat_map(|t| batch_indices(1, t, 64, 1000)).collect();
        let distinct: std::collections::BTreeSet<_> = epoch.iter().collect();
        assert_eq!((epoch.len(), distinct.len()), (960, 960));
        assert_ne!(
            batch_indices(1, 15, 64, 1000),
            batch_indices(1, 0, 64, 1000),
            "each epoch has its own order"
        );
        assert_ne!(batch_indices(2, 0, 64, 1000), batch_indices(1, 0, 64, 1000));
        assert_eq!(batch_indices(1, 3, 8, 3).len(), 8);
    }

    /// Neighbours before the shuffle are not neighbours after it: the mean distance is that of
    /// random pairs, len/3.
    #[test]
    fn the_shuffle_mixes() {
        let len = 60_000;
        let far = |i| shuffled(9, 0, len, i).abs_diff(shuffled(9, 0, len, i + 1)) as f64;
        let mean = (0..10_000).map(far).sum::<f64>() / 10_000.0;
        assert!((mean / (len as f64 / 3.0) - 1.0).abs() < 0.03, "{mean}");
    }
}
