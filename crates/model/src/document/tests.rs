// SPDX-License-Identifier: GPL-3.0-or-later
//! Documents with errors, as people write them.

mod agreement;
mod spec;
mod stories;
