// SPDX-License-Identifier: GPL-3.0-or-later
//! What rendering refuses, and that no text breaks out of its place.
