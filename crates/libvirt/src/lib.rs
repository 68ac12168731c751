// SPDX-License-Identifier: GPL-3.0-or-later
//! libvirt behind a safe, synchronous API.
