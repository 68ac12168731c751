// SPDX-License-Identifier: GPL-3.0-or-later
//! The boundary between hvd and the broker: wire form, both halves, descriptor passing.
