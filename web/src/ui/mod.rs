//! What a figure has around its pictures.

pub mod about;
pub mod controls;
mod refs;
pub mod tables;
mod theme;

pub use refs::Refs;
pub use theme::Theme;
