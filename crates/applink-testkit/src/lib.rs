//! What the tests of several crates share. Never shipped.
//!
//! * [`dev_stack`]: the real `applink dev`, one per test, on free ports and in a folder of its own.
//! * [`browser`]: a real headless Chromium.
//! * [`figures`]: measured figures, for `cargo xtask figures`.
//! * [`html`]: what every rendered page must be, and that every template was rendered.
//! * [`leaks`]: searches files for every secret a test used.
#![expect(clippy::panic, clippy::expect_used, reason = "a helper of tests fails the test")]

pub mod browser;
pub mod dev_stack;
pub mod figures;
pub mod html;
pub mod leaks;
pub mod many;
