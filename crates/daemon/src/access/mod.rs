// SPDX-License-Identifier: GPL-3.0-or-later
//! Who somebody is, and whether they may do something: one place answers it for every look and
//! every change.
//!
//! Policies are Cedar's, checked against a schema that is made from the model's actions and roles.
//! What no policy permits is denied.

mod authenticate;
mod authorize;
mod cut;
mod explain;
mod force;
mod granted;
mod judge;
mod key;
mod lockout;
mod password;
pub(crate) mod people;
mod policies;
mod proof;
mod quota;
mod random;
mod recovery;
mod resource;
mod schema;
mod second_factor;
mod session;
mod subject;
#[cfg(test)]
mod tests;
mod token;
mod totp;

pub use self::{
    authenticate::{Authenticator, Whence},
    authorize::Access,
    password::PasswordHash,
    policies::{GivenGrant, PolicyFault, Sources, read_folder},
    proof::Prover,
    resource::{Resource, VmTraits},
    schema::schema_text,
    session::csrf,
    subject::{Assurance, Subject},
    token::Bearer,
};
pub(crate) use self::{
    cut::{Cutter, Tie},
    force::stored_grants,
    quota::UserLimits,
    random::Digest,
};
