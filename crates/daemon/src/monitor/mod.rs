// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether all is well: checks that say what was seen, why that matters and how to mend it.

mod audit_checks;
mod health;
mod host_checks;
mod quota_checks;
pub mod rights;
mod space_checks;
mod vm_checks;

pub use self::health::{Everything, Sight, health};
