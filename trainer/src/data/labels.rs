//! The classes of images.

/// The classes of a set's images, 0 to 9, in their order.
pub struct Labels {
    /// Classes of the training images.
    pub train: Vec<u8>,
    /// Classes of the held-out images.
    pub held_out: Vec<u8>,
}
