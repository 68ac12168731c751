// SPDX-License-Identifier: GPL-3.0-or-later
//! The one process that reaches libvirt.

fn main() {}
