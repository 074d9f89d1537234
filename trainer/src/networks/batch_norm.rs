//! Batch norm's statistics: of one batch, running, estimated over many batches, folded.

use burn::tensor::{Device, Tensor};

/// Added to the variance.
pub const EPSILON: f32 = 1e-5;

/// Weight of a new batch in the running statistics.
pub const MOMENTUM: f32 = 0.1;

/// Mean and (biased) variance of each channel, `[channels]`.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Means.
    pub mean: Tensor<1>,
    /// Variances, without [`EPSILON`].
    pub variance: Tensor<1>,
}

impl Statistics {
    /// Mean 0 and variance 1.
    pub fn standard(channels: usize, device: &Device) -> Statistics {
        Statistics { mean: Tensor::zeros([channels], device), variance: Tensor::ones([channels], device) }
    }

    /// Move towards the statistics of a batch.
    pub fn approach(&mut self, batch: &Statistics) {
        let step = |old: &Tensor<1>, new: &Tensor<1>| {
            old.clone().mul_scalar(1.0 - MOMENTUM) + new.clone().mul_scalar(MOMENTUM)
        };
        self.mean = step(&self.mean, &batch.mean);
        self.variance = step(&self.variance, &batch.variance);
    }

    /// Scale and shift that do what a batch norm with `weight` and `bias` does under these
    /// statistics.
    pub fn scale_shift(&self, weight: &Tensor<1>, bias: &Tensor<1>) -> [Tensor<1>; 2] {
        let scale = weight.clone() / self.variance.clone().add_scalar(EPSILON).sqrt();
        let shift = bias.clone() - self.mean.clone() * scale.clone();
        [scale, shift]
    }
}

/// Statistics of many equal batches taken together: the mean of the means, and the variance
/// within and between the batches.
#[derive(Debug, Default)]
pub struct Pooled {
    batches: u32,
    /// Sums over batches of the mean and of the second moment, one pair for each batch norm.
    sums: Vec<[Tensor<1>; 2]>,
}

impl Pooled {
    /// Add one batch.
    pub fn add(&mut self, batch: &[Statistics]) {
        let moments = batch.iter().map(|s| [s.mean.clone(), s.variance.clone() + s.mean.clone().square()]);
        if self.batches == 0 {
            self.sums = moments.collect();
        } else {
            for ([mean, second], [m, s]) in self.sums.iter_mut().zip(moments) {
                *mean = mean.clone() + m;
                *second = second.clone() + s;
            }
        }
        self.batches += 1;
    }

    /// The statistics of everything added.
    pub fn statistics(self) -> Vec<Statistics> {
        let share = 1.0 / self.batches.max(1) as f32;
        let pooled = self.sums.into_iter().map(|[mean, second]| {
            let mean = mean.mul_scalar(share);
            let variance = (second.mul_scalar(share) - mean.clone().square()).clamp_min(0.0);
            Statistics { mean, variance }
        });
        pooled.collect()
    }
}
