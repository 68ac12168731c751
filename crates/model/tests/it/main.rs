// SPDX-License-Identifier: GPL-3.0-or-later
//! The model against files: golden XML, the example specs and the published schema.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail loudly, its helpers too"
)]

mod examples;
mod golden;
mod schema;
mod specs;
