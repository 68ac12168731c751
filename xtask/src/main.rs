// SPDX-License-Identifier: GPL-3.0-or-later
//! Regenerates and checks what is generated.

fn main() {}
