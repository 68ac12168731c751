// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether somebody may do something: one function answers it for every look and every change.

mod authorize;
mod resource;

pub use self::{authorize::authorize, resource::Resource};
