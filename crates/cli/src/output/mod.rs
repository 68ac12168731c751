// SPDX-License-Identifier: GPL-3.0-or-later
//! What a person sees: colours, tables, lists of facts, ages and problems.
//!
//! Everything here makes text out of values and a [`Look`]; nothing here writes it anywhere.

pub(crate) mod fact;
pub(crate) mod look;
pub(crate) mod moment;
pub(crate) mod problem;
pub(crate) mod table;
pub(crate) mod text;

pub(crate) use self::{
    fact::Facts,
    look::{Look, Paint},
    table::{Column, Table},
    text::shown,
};
