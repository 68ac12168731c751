// SPDX-License-Identifier: GPL-3.0-or-later
//! The model against files: golden XML, the example specs and the published schema.

mod examples;
mod golden;
mod specs;
