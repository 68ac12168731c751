// SPDX-License-Identifier: GPL-3.0-or-later
//! Reconcilers: they take no input, compare what is with what is intended, and ask for what is
//! missing. Running one twice does no more than running it once.

mod autostart;
mod history;
mod restart;
mod stray;
mod trash;

pub(super) use self::{
    autostart::start_with_host, history::forget_old, restart::restart_crashed, stray::find_strays,
    trash::purge_old,
};
