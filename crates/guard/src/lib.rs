// SPDX-License-Identifier: GPL-3.0-or-later
//! The host's policy: what no VM on this host may have, whoever asks for it.
//!
//! The policy is a file that root owns. Three looks are taken, each as if the others were not
//! there: [`judge`] at what is wanted, before it becomes XML; [`judge_xml`] at the XML, before
//! libvirt gets it; and [`image`] at the bytes of what shall become a disk.

pub mod image;
mod judge;
mod policy;
mod refusal;
mod xml;

pub use judge::{judge, judge_resize, judge_upload, judge_volume, pool_of};
pub use policy::{Devices, Feature, HostLimits, HostPolicy, PolicyError, PoolRule};
pub use refusal::{Refusal, Refusals};
pub use xml::judge_xml;
