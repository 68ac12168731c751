// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether somebody may do something: one place answers it for every look and every change.
//!
//! Policies are Cedar's, checked against a schema that is made from the model's actions and roles.
//! What no policy permits is denied.

mod authorize;
mod explain;
mod force;
pub(crate) mod people;
mod policies;
mod quota;
mod resource;
mod schema;
mod subject;
#[cfg(test)]
mod tests;

pub use self::{
    authorize::Access,
    policies::{GivenGrant, PolicyFault, Sources, read_folder},
    resource::{Resource, VmTraits},
    schema::schema_text,
    subject::{Assurance, Subject},
};
pub(crate) use self::{force::stored_grants, quota::UserLimits};
