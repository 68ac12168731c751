// SPDX-License-Identifier: GPL-3.0-or-later
//! The examples that users start from.
