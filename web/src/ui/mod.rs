//! What a figure has around its pictures.

pub mod about;
pub mod controls;
mod refs;
mod theme;

pub use refs::Refs;
pub use theme::Theme;
