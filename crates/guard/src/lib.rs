// SPDX-License-Identifier: GPL-3.0-or-later
//! The host's policy: what no VM on this host may have, whoever asks for it.
//!
//! The policy is a file that root owns. Four looks are taken, each as if the others were not there.
//! The broker takes three: [`judge`] at what is wanted, before it becomes XML; [`judge_xml`] at the
//! XML, before libvirt gets it; and [`image`] at the bytes of what shall become a disk. The program
//! `hv-guard` takes the fourth, as libvirt's hook and as root: [`judge_domain`] at whatever is about
//! to run, whoever defined it, and [`examine`] at the files that it would use.

mod allowed;
mod domain;
mod files;
pub mod hook;
pub mod image;
pub mod journal;
mod judge;
mod open_files;
mod policy;
mod refusal;
pub mod setup;
pub mod spool;
mod trust;
mod xml;

pub use domain::{FileRole, HostFile, Judged, LONGEST, id_in, judge_domain};
pub use files::{Identity, examine};
pub use judge::{judge, judge_resize, judge_upload, judge_volume, pool_of};
pub use policy::{Devices, Feature, HostLimits, HostPolicy, PolicyError, PoolRule};
pub use refusal::{Refusal, Refusals};
pub use xml::judge_xml;
