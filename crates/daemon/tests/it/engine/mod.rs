// SPDX-License-Identifier: GPL-3.0-or-later
//! The engine and the observer, told as stories.

mod asking;
mod crash;
mod history;
mod host;
mod image;
mod life_cycle;
mod loss;
mod quota;
mod start_with_host;
mod storm;
mod trash;
