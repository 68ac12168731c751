// SPDX-License-Identifier: GPL-3.0-or-later
//! The domain of Hyper-NixOS as values and pure functions.
