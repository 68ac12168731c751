// SPDX-License-Identifier: GPL-3.0-or-later
//! The host's policy: what no VM on this host may have.
