// SPDX-License-Identifier: GPL-3.0-or-later
//! The domain of Hyper-NixOS as values and pure functions.
//!
//! These types are also what travels over the HTTP API and over the port to the broker. Nothing
//! here does I/O, reads the clock or draws random numbers: time, ids and randomness are arguments.

pub mod access;
pub mod account;
pub mod audit;
pub mod device;
pub mod document;
pub mod domain_xml;
pub mod event;
pub mod health;
pub mod host;
pub mod hypervisor;
pub mod id;
pub mod image;
pub mod inventory;
pub mod name;
pub mod network;
pub mod operation;
pub mod page;
pub mod plan;
pub mod problem;
pub mod refusal;
pub mod rights;
mod schema;
pub mod secret;
pub mod security;
pub mod session;
pub mod size;
pub mod storage;
pub mod vm;
