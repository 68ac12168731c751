// SPDX-License-Identifier: GPL-3.0-or-later
//! The daemon: store, engine, HTTP API.

fn main() {}
