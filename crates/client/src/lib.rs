// SPDX-License-Identifier: GPL-3.0-or-later
//! Typed client of the HTTP API.
