//! Replicas of one teacher, each on a device of its own with a share of the batch.
//!
//! As in data-parallel training everywhere: each replica has all parameters and the whole state, runs the
//! iteration on its own rows, and takes the same steps as the others, since what they learn from is summed
//! over all of them first. Random numbers are keyed by a row's place in the whole batch, so the chains are
//! the same however the batch is split. What is of one device is batch norm: statistics of its own rows.

use super::{Report, TeachingError};
use crate::networks::{Statistics, read};
use burn::tensor::{Device, Tensor, TensorData};
use std::ops::Range;

/// Sums tensors over all replicas of a teacher.
pub trait Exchange: Send {
    /// The sum of what all replicas bring: each as many numbers, at the same place of its iteration, on
    /// the CPU. It is the same, to the bit, for each of them.
    ///
    /// # Errors
    /// If another replica has failed, and will not come.
    fn sum(&self, mine: Tensor<1>) -> Result<Tensor<1>, ReplicaFailed>;
}

/// Another replica has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another of the devices that share the batch has failed")]
pub struct ReplicaFailed;

/// The rows of the batch that are one replica's.
pub struct Share {
    rows: Range<usize>,
    batch: usize,
    /// None where the rows are the whole batch.
    exchange: Option<Box<dyn Exchange>>,
}

impl Share {
    /// All rows of a batch.
    pub fn whole(batch: usize) -> Share {
        Share { rows: 0..batch, batch, exchange: None }
    }

    /// `rows` of a batch whose other rows are with the other replicas, which `exchange` reaches.
    pub fn of(rows: Range<usize>, batch: usize, exchange: Box<dyn Exchange>) -> Share {
        Share { rows, batch, exchange: Some(exchange) }
    }

    /// A batch split over `replicas` as evenly as it can be; the first have one row more.
    pub fn split(batch: usize, replicas: usize) -> Vec<Range<usize>> {
        let mut first = 0;
        let split = (0..replicas).map(|i| {
            let count = batch / replicas + usize::from(i < batch % replicas);
            first += count;
            first - count..first
        });
        split.collect()
    }

    pub(super) fn rows(&self) -> &Range<usize> {
        &self.rows
    }

    /// Means over the whole batch of what are means over each replica's rows.
    pub(super) fn mean(&self, mine: Vec<Tensor<1>>) -> Result<Vec<Tensor<1>>, TeachingError> {
        let (Some(exchange), Some(first)) = (&self.exchange, mine.first()) else { return Ok(mine) };
        let device = first.device();
        let lens: Vec<usize> = mine.iter().map(|tensor| tensor.dims()[0]).collect();
        // One transfer for all.
        let weight = self.rows.len() as f32 / self.batch as f32;
        let mine = Tensor::cat(mine, 0).mul_scalar(weight).to_device(&Device::flex());
        let mean = exchange.sum(mine)?.to_device(&device);
        let mut start = 0;
        let parts = lens.into_iter().map(|len| {
            start += len;
            mean.clone().narrow(0, start - len, len)
        });
        Ok(parts.collect())
    }

    /// Means of statistics, so that the running ones are the same everywhere.
    pub(super) fn statistics(&self, mine: Vec<Statistics>) -> Result<Vec<Statistics>, TeachingError> {
        if self.exchange.is_none() {
            return Ok(mine);
        }
        let flat = mine.into_iter().flat_map(|s| [s.mean, s.variance]).collect();
        let mut means = self.mean(flat)?.into_iter();
        let mut statistics = Vec::new();
        while let (Some(mean), Some(variance)) = (means.next(), means.next()) {
            statistics.push(Statistics { mean, variance });
        }
        Ok(statistics)
    }

    /// All `count` rows of `len` numbers, of which `mine` are these `rows`.
    pub(super) fn all_rows(
        &self,
        mine: &[f32],
        rows: &Range<usize>,
        count: usize,
        len: usize,
    ) -> Result<Vec<f32>, TeachingError> {
        let (Some(exchange), true) = (&self.exchange, count > 0) else { return Ok(mine.to_vec()) };
        // The others' rows are zero here, as these are there.
        let mut all = vec![0.0; count * len];
        all[rows.start * len..rows.end * len].copy_from_slice(mine);
        Ok(read(exchange.sum(on_cpu(&all))?)?)
    }

    /// Make the figures of these rows those of the whole batch. `own` x-chains were this replica's, and
    /// `all` with the persistent ones.
    pub(super) fn report(&self, mine: &mut Report, own: usize, all: usize) -> Result<(), TeachingError> {
        let Some(exchange) = &self.exchange else { return Ok(()) };
        let rows = self.rows.len();
        let (mut x_ends, mut z_ends) = (ends(mine.x_chain_energy), ends(mine.z_chain_error));
        let ([x_first, x_last], [z_first, z_last]) = (&mut x_ends, &mut z_ends);
        let mut figures = [
            (&mut mine.energy_data, rows),
            (&mut mine.energy_model, rows),
            (&mut mine.energy_loss, rows),
            (&mut mine.generator_data_error, rows),
            (&mut mine.generator_ebm_error, rows),
            (&mut mine.encoder_data_loss, rows),
            (&mut mine.encoder_model_loss, rows),
            (&mut mine.displacement, own),
            (&mut mine.x_chain_acceptance, all),
            (x_first, own),
            (x_last, own),
            (z_first, rows),
            (z_last, rows),
        ];
        let weighted = |(figure, weight): &(&mut Option<f32>, usize)| match figure {
            Some(figure) => [*figure * *weight as f32, *weight as f32],
            None => [0.0, 0.0],
        };
        let sums: Vec<f32> = figures.iter().flat_map(weighted).collect();
        let sums = read(exchange.sum(on_cpu(&sums))?)?;
        for ((figure, _), sum) in figures.iter_mut().zip(sums.as_chunks::<2>().0) {
            **figure = (sum[1] > 0.0).then(|| sum[0] / sum[1]);
        }
        mine.x_chain_energy = both(x_ends);
        mine.z_chain_error = both(z_ends);
        Ok(())
    }
}

fn on_cpu(values: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::from(values), &Device::flex())
}

fn ends(ends: Option<[f32; 2]>) -> [Option<f32>; 2] {
    ends.map_or([None, None], |ends| ends.map(Some))
}

fn both([first, last]: [Option<f32>; 2]) -> Option<[f32; 2]> {
    Some([first?, last?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_covers_the_batch_evenly() {
        assert_eq!(Share::split(8, 2), [0..4, 4..8]);
        assert_eq!(Share::split(8, 3), [0..3, 3..6, 6..8]);
        assert_eq!(Share::split(2, 3), [0..1, 1..2, 2..2]);
    }
}
