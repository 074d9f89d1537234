//! Features of images.
