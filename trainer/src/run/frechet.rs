//! Fréchet distance between Gaussians, and its simplest use: on the leading principal components of
//! the data.
//!
//! The components are those of the training data in [-1, 1], not whitened. On pixels this is a
//! plain second-order statistic; it has nothing of FID's network, and is never called FID.

use crate::data::{self, Dataset, Samples, memory};
use anyhow::{Context, Result, ensure};
use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Components that a distance is computed on, or as many as the data have values.
const COMPONENTS: usize = 64;

/// Training samples that components are fitted to; of a larger set, so many from all over it.
const FITTED: usize = 100_000;

/// Samples that are multiplied at a time.
const CHUNK: usize = 2048;

/// A Gaussian: mean and covariance.
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    /// Mean.
    pub mean: DVector<f64>,
    /// Covariance.
    pub covariance: DMatrix<f64>,
}

/// A Gaussian that others are compared with, and the root of its covariance, which takes longest.
pub struct Reference {
    gaussian: Gaussian,
    root: DMatrix<f64>,
}

impl Reference {
    /// # Errors
    /// If the eigenvalue problem does not converge.
    pub fn new(gaussian: Gaussian) -> Result<Reference> {
        Ok(Reference { root: square_root(&gaussian.covariance)?, gaussian })
    }

    /// Fréchet distance ‖m₁ - m₂‖² + tr(S₁ + S₂ - 2(S₁^½ S₂ S₁^½)^½).
    ///
    /// # Errors
    /// If a number is not finite.
    pub fn distance(&self, other: &Gaussian) -> Result<f64> {
        ensure!(other.covariance.iter().all(|v| v.is_finite()), "a covariance is not finite");
        let product = &self.root * &other.covariance * &self.root;
        let cross =
            symmetric(product).symmetric_eigenvalues().iter().map(|&v| v.max(0.0).sqrt()).sum::<f64>();
        let means = (&self.gaussian.mean - &other.mean).norm_squared();
        Ok(means + self.gaussian.covariance.trace() + other.covariance.trace() - 2.0 * cross)
    }
}

/// Sums of samples that come a few at a time, for their mean and covariance.
pub struct Moments {
    count: usize,
    sum: DVector<f64>,
    products: DMatrix<f64>,
}

impl Moments {
    /// No samples yet, of `len` values each.
    pub fn new(len: usize) -> Moments {
        Moments { count: 0, sum: DVector::zeros(len), products: DMatrix::zeros(len, len) }
    }

    /// Add samples, flat.
    pub fn add(&mut self, samples: &[f32]) {
        let len = self.sum.len();
        let x = DMatrix::from_iterator(len, samples.len() / len, samples.iter().map(|&v| f64::from(v)));
        self.count += x.ncols();
        self.sum += x.column_sum();
        self.products.gemm(1.0, &x, &x.transpose(), 1.0);
    }

    /// The Gaussian with their mean and (unbiased) covariance.
    ///
    /// # Errors
    /// If there are fewer than two samples, or one is not finite.
    pub fn gaussian(self) -> Result<Gaussian> {
        ensure!(self.count >= 2, "a distance needs at least two samples");
        ensure!(self.sum.iter().all(|v| v.is_finite()), "a sample is not finite; the chain has diverged");
        let n = self.count as f64;
        let mean = self.sum / n;
        let covariance = (self.products - &mean * mean.transpose() * n) / (n - 1.0);
        Ok(Gaussian { mean, covariance })
    }
}

/// The leading principal components of a data set, and the Gaussian of the data on them.
pub struct Components {
    /// Mean of the data.
    mean: DVector<f64>,
    /// One component a column, orthonormal.
    basis: DMatrix<f64>,
    /// The data on the components: mean zero, covariance diagonal.
    data: Reference,
}

impl Components {
    /// How many there are: 64, or as many as the data have values.
    pub fn count(&self) -> usize {
        self.basis.ncols()
    }

    /// Fit the components to all training samples of `data`, or to 100,000 from all over it.
    ///
    /// # Errors
    /// If the data cannot be read.
    pub fn fit(data: &Dataset) -> Result<Components> {
        let (mean, covariance) = moments(&data.train, data.sample_len(), FITTED)?;
        let (basis, variances) = leading(&covariance, COMPONENTS.min(data.sample_len()));
        let root = DMatrix::from_diagonal(&variances.map(|v| v.max(0.0).sqrt()));
        let covariance = DMatrix::from_diagonal(&variances);
        let gaussian = Gaussian { mean: DVector::zeros(variances.len()), covariance };
        Ok(Components { mean, basis, data: Reference { gaussian, root } })
    }

    /// Distance of `samples`, flat, from the training data.
    ///
    /// # Errors
    /// If there are fewer than two samples, or one is not finite.
    pub fn distance(&self, samples: &[f32]) -> Result<f64> {
        self.data.distance(&self.project(samples)?)
    }

    /// The Gaussian of `samples` on the components.
    fn project(&self, samples: &[f32]) -> Result<Gaussian> {
        let len = self.mean.len();
        let count = samples.len() / len;
        ensure!(count >= 2, "a distance needs at least two samples");
        ensure!(samples.iter().all(|v| v.is_finite()), "a sample is not finite; the chain has diverged");
        let x = DMatrix::from_iterator(len, count, samples[..count * len].iter().map(|&v| f64::from(v)));
        let mut projected = self.basis.tr_mul(&x);
        let offset = self.basis.tr_mul(&self.mean);
        projected.column_iter_mut().for_each(|mut column| column -= &offset);
        let mean = projected.column_mean();
        projected.column_iter_mut().for_each(|mut column| column -= &mean);
        let covariance = &projected * projected.transpose() / (count - 1) as f64;
        Ok(Gaussian { mean, covariance })
    }
}

/// Rounding leaves a product a little asymmetric.
fn symmetric(matrix: DMatrix<f64>) -> DMatrix<f64> {
    let transpose = matrix.transpose();
    (matrix + transpose) * 0.5
}

fn square_root(matrix: &DMatrix<f64>) -> Result<DMatrix<f64>> {
    let eigen = SymmetricEigen::try_new(symmetric(matrix.clone()), 1e-12, 1_000_000)
        .context("an eigenvalue problem did not converge")?;
    let roots = eigen.eigenvalues.map(|v| v.max(0.0).sqrt());
    Ok(&eigen.eigenvectors * DMatrix::from_diagonal(&roots) * eigen.eigenvectors.transpose())
}

/// Mean and covariance of all samples, or of `most` from all over them. Products are formed in f32, sums
/// of chunks in f64.
fn moments(samples: &Samples, len: usize, most: usize) -> Result<(DVector<f64>, DMatrix<f64>)> {
    let all = samples.len() / len;
    let count = all.min(most);
    let chunk = |first: usize| samples.gather(data::spread(all, count).skip(first).take(CHUNK), len);
    let mut mean = DVector::<f64>::zeros(len);
    for first in (0..count).step_by(CHUNK) {
        for row in chunk(first)?.chunks(len) {
            mean.iter_mut().zip(row).for_each(|(mean, &v)| *mean += f64::from(v));
        }
    }
    mean /= count as f64;
    let mean_f32: Vec<f32> = mean.iter().map(|&v| v as f32).collect();

    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(count.div_ceil(CHUNK));
    // Each thread has a covariance in f64 and a product in f32, and there are two sums.
    let needed = len.saturating_mul(len).saturating_mul(12 * threads + 16);
    memory::ask(needed, || format!("the principal components of samples of {len} values"))?;
    let part = |thread: usize| -> Result<DMatrix<f64>> {
        let mut covariance = DMatrix::<f64>::zeros(len, len);
        for first in (thread * CHUNK..count).step_by(CHUNK * threads) {
            let mut values = chunk(first)?;
            for row in values.chunks_mut(len) {
                row.iter_mut().zip(&mean_f32).for_each(|(v, mean)| *v -= mean);
            }
            let x = DMatrix::<f32>::from_vec(len, values.len() / len, values);
            let product = &x * x.transpose();
            covariance.iter_mut().zip(product.iter()).for_each(|(c, &p)| *c += f64::from(p));
        }
        Ok(covariance)
    };
    let mut covariance = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
        // A panic in a part is a bug of this function; it goes on in the caller.
        parts.into_iter().try_fold(DMatrix::zeros(len, len), |sum, part| match part.join() {
            Ok(part) => anyhow::Ok(sum + part?),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    covariance /= (count.max(2) - 1) as f64;
    Ok((mean, covariance))
}

/// The `count` leading eigenvectors of a covariance and their eigenvalues, falling, by subspace
/// iteration with twice as many vectors: a full eigendecomposition of all pixels would take
/// minutes, and only these are used.
fn leading(covariance: &DMatrix<f64>, count: usize) -> (DMatrix<f64>, DVector<f64>) {
    let len = covariance.nrows();
    let width = (2 * count).min(len);
    // Any start will do that has something of every eigenvector; cosines are fixed and dense.
    let mut basis = DMatrix::from_fn(len, width, |i, j| ((i * (2 * j + 3) + j) as f64).cos());
    let mut values = DVector::zeros(width);
    for _ in 0..100 {
        basis = (covariance * basis).qr().q();
        let ritz = SymmetricEigen::new(basis.tr_mul(&(covariance * &basis)));
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|&a, &b| ritz.eigenvalues[b].total_cmp(&ritz.eigenvalues[a]));
        basis = &basis * ritz.eigenvectors.select_columns(&order);
        let next = DVector::from_iterator(width, order.iter().map(|&i| ritz.eigenvalues[i]));
        let change = (next.rows(0, count) - values.rows(0, count)).abs().max();
        let converged = change <= 1e-9 * next[0].abs();
        values = next;
        if converged {
            break;
        }
    }
    (basis.columns(0, count).into_owned(), values.rows(0, count).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use dual_mcmc::noise::{Noise, Stream};

    fn distance(a: &Gaussian, b: &Gaussian) -> Result<f64> {
        Reference::new(a.clone())?.distance(b)
    }

    fn gaussian(mean: &[f64], variances: &[f64]) -> Gaussian {
        Gaussian {
            mean: DVector::from_row_slice(mean),
            covariance: DMatrix::from_diagonal(&DVector::from_row_slice(variances)),
        }
    }

    /// An orthogonal matrix that mixes everything.
    fn rotation(n: usize) -> DMatrix<f64> {
        DMatrix::from_fn(n, n, |i, j| ((i * 7 + j * 3 + i * j) as f64).sin()).qr().q()
    }

    #[test]
    fn the_distance_has_its_closed_form_where_covariances_commute() {
        // Then it is ‖m₁ - m₂‖² + Σ (√λ₁ - √λ₂)².
        let (a, b) =
            (gaussian(&[1.0, -2.0, 0.5], &[4.0, 1.0, 0.25]), gaussian(&[0.0, 1.0, 0.5], &[1.0, 9.0, 0.0]));
        let expected = 1.0 + 9.0 + 1.0 + 4.0 + 0.25;
        assert!((distance(&a, &b).unwrap() - expected).abs() < 1e-9);
        let turn = rotation(3);
        let turned = |g: &Gaussian| Gaussian {
            mean: &turn * &g.mean,
            covariance: &turn * &g.covariance * turn.transpose(),
        };
        assert!((distance(&turned(&a), &turned(&b)).unwrap() - expected).abs() < 1e-6);
        assert!(distance(&a, &a).unwrap().abs() < 1e-9);
    }

    #[test]
    fn the_distance_has_its_closed_form_in_two_dimensions_where_they_do_not() {
        // In 2-D the trace of the root of M is √(tr M + 2 √det M).
        let a = DMatrix::<f64>::from_row_slice(2, 2, &[2.0, 0.6, 0.6, 1.0]);
        let b = DMatrix::<f64>::from_row_slice(2, 2, &[1.0, -0.4, -0.4, 3.0]);
        let product = &a * &b;
        let cross = (product.trace() + 2.0 * product.determinant().sqrt()).sqrt();
        let expected = a.trace() + b.trace() - 2.0 * cross;
        let zero = DVector::zeros(2);
        let found = distance(
            &Gaussian { mean: zero.clone(), covariance: a },
            &Gaussian { mean: zero, covariance: b },
        );
        assert!((found.unwrap() - expected).abs() < 1e-9);
    }

    /// tests/peers/frechet.py: the same features, and SciPy's sqrtm. The second covariance is singular.
    #[test]
    fn the_distance_of_random_features_is_scipys() {
        const SIZE: usize = 48;
        let features = |seed, count, twist: f64| {
            let x = Noise::new(seed, Stream::Data).normal_rows(0, count, SIZE, 0);
            let value = |row: &[f32], i: usize| {
                let (x, before) = (f64::from(row[i]), f64::from(row[(i + SIZE - 1) % SIZE]));
                let angle = twist * i as f64;
                ((1.0 + 0.5 * angle.sin()) * (x + 0.7 * before) + 0.3 * angle.cos()).max(0.0) as f32
            };
            let rows = x.chunks(SIZE).flat_map(|row| (0..SIZE).map(move |i| value(row, i)));
            let mut moments = Moments::new(SIZE);
            rows.collect::<Vec<_>>().chunks(SIZE * 64).for_each(|part| moments.add(part));
            moments.gaussian().unwrap()
        };
        let reference = Reference::new(features(1, 500, 0.3)).unwrap();
        for (count, scipys) in [(400, 12.2787676791827), (30, 24.485923346501707)] {
            let found = reference.distance(&features(2, count, 1.1)).unwrap();
            assert!((found - scipys).abs() < 1e-4, "{count}: {found} {scipys}");
        }
    }

    #[test]
    fn leading_components_are_those_of_the_whole_decomposition() {
        let n = 60;
        let turn = rotation(n);
        let variances = DVector::from_fn(n, |i, _| 10.0 / (1.0 + i as f64).powf(1.5));
        let covariance = &turn * DMatrix::from_diagonal(&variances) * turn.transpose();
        let (basis, values) = leading(&covariance, 10);
        assert!((&values - variances.rows(0, 10)).abs().max() < 1e-7);
        // The same subspace, whatever the signs.
        let overlap = (turn.columns(0, 10).transpose() * &basis).map(|v| v * v);
        assert!((overlap.sum() - 10.0).abs() < 1e-6, "{}", overlap.sum());
    }

    #[test]
    fn samples_of_the_data_are_near_and_shifted_ones_are_not() {
        let rows = |seed, n: usize, shift: f32| -> Vec<f32> {
            let mut x = Noise::new(seed, Stream::Data).normal_rows(0, n, 5, 0);
            x.chunks_mut(5).for_each(|row| {
                row[0] = 2.0 * row[0] + shift;
                row[4] += row[0];
            });
            x
        };
        let data = Dataset {
            name: "test".into(),
            known: None,
            shape: vec![5],
            train: Samples::Floats(rows(1, 20_000, 0.0)),
            held_out: Samples::Floats(rows(2, 5_000, 0.0)),
        };
        let components = Components::fit(&data).unwrap();
        let floor = components.distance(&data.held_out_batch(5_000).unwrap()).unwrap();
        assert!((0.0..0.02).contains(&floor), "{floor}");
        // The shift of the first value moves the last one too: 0.5² + 0.5².
        let shifted = components.distance(&rows(3, 5_000, 0.5)).unwrap();
        assert!((shifted - 0.5).abs() < 0.1, "{shifted}");
        assert!(components.distance(&[f32::NAN; 10]).is_err());
    }
}
