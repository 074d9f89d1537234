//! What the tests that cross crates share: a real browser, the page built and served as the
//! project's own command does it, and small models made for the purpose.
//!
//! Everything here panics with a message when it cannot go on: it is for tests.
#![allow(clippy::unwrap_used)]

pub mod browser;
pub mod models;
pub mod page;
