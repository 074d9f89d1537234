//! Weights on their way from burn to the chains' executor: through memory, or from buffer to buffer.

use super::{Networks, TeachingError};
#[cfg(feature = "gpu")]
use crate::networks::read;
use crate::networks::{BurnNetwork, Statistics};
#[cfg(feature = "gpu")]
use burn::tensor::Tensor;
#[cfg(feature = "gpu")]
use dual_mcmc::executor::ExecutorError;
use dual_mcmc::executor::{Executor, XChain, ZChain};
use dual_mcmc::model::Weighted;

/// A network's weights for an executor.
pub enum Folded {
    /// Weights in memory.
    Read(Weighted),
    /// Weights on the shared device.
    #[cfg(feature = "gpu")]
    Lent(Box<Tensor<1>>),
}

impl Folded {
    /// `network` with `statistics` of its batch norms; as a buffer's if `lent`.
    pub(super) fn of(
        network: &BurnNetwork,
        statistics: &[Statistics],
        lent: bool,
    ) -> Result<Folded, TeachingError> {
        #[cfg(feature = "gpu")]
        if lent && let Some(weights) = network.folded_weights(network.parameters(), statistics) {
            return Ok(Folded::Lent(Box::new(weights)));
        }
        let _ = lent;
        Ok(Folded::Read(network.fold(statistics)?))
    }
}

/// What takes [`Folded`] weights, one way or the other.
macro_rules! take_weights {
    ($name:ident, $chain:ident) => {
        pub(super) fn $name(chain: &mut $chain, folded: &Folded) -> Result<(), TeachingError> {
            match (folded, chain) {
                (Folded::Read(weighted), chain) => chain.set_weights(&weighted.weights)?,
                #[cfg(feature = "gpu")]
                (Folded::Lent(weights), $chain::Gpu(chain)) => {
                    let copied = crate::lending::lend(*weights.clone(), |buffer, offset| {
                        chain.set_weights_from_buffer(buffer, offset)
                    })?;
                    copied.map_err(ExecutorError::from)?;
                }
                #[cfg(feature = "gpu")]
                (Folded::Lent(weights), chain) => chain.set_weights(&read(*weights.clone())?)?,
            }
            Ok(())
        }
    };
}

take_weights!(set_energy, XChain);
take_weights!(set_generator, ZChain);

/// Whether burn and the executor have one device, so that weights need not leave it.
pub(super) fn lends(networks: &Networks, executor: &Executor) -> bool {
    #[cfg(feature = "gpu")]
    if let Executor::Gpu(gpu) = executor {
        let network = networks.energy.as_ref().or(networks.generator.as_ref());
        return network.is_some_and(|network| crate::lending::shares(network.device(), gpu));
    }
    let _ = (networks, executor);
    false
}
