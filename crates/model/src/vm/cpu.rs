// SPDX-License-Identifier: GPL-3.0-or-later
//! A VM's processors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::short::Short;
use crate::{name::CpuName, schema::text_schema};

/// A VM's processors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cpus {
    /// How many it has at start: 1 to 4,096.
    #[schema(minimum = 1, maximum = 4096)]
    pub count: u32,
    /// Up to how many can be added while it runs; `count`, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// Which processor the guest sees.
    pub model: CpuModel,
    /// How they are laid out; one socket with `count` cores, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology: Option<CpuTopology>,
    /// Which host CPUs each may run on, by its number: `{0: "2-3", 1: "4"}`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pinning: BTreeMap<u32, CpuSet>,
    /// CPU features to require or hide, such as `shstk` or `ibt`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub features: BTreeMap<CpuName, FeaturePolicy>,
}

impl Cpus {
    /// Up to how many CPUs the VM can have while it runs.
    pub fn most(&self) -> u32 {
        self.max.unwrap_or(self.count)
    }
}

impl Default for Cpus {
    fn default() -> Self {
        Self {
            count: 1,
            max: None,
            model: CpuModel::default(),
            topology: None,
            pinning: BTreeMap::new(),
            features: BTreeMap::new(),
        }
    }
}

impl From<Short> for Result<Cpus, String> {
    fn from(short: Short) -> Self {
        match short {
            Short::Number(count) => u32::try_from(count)
                .map(|count| Cpus {
                    count,
                    ..Cpus::default()
                })
                .map_err(|_| format!("{count} is not a count of CPUs: allowed are 1 to 4096")),
            Short::Text(text) => Err(format!(
                "{text:?} is not a count of CPUs: allowed are 1 to 4096"
            )),
        }
    }
}

/// Which processor the guest sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CpuModel {
    /// The host's own where KVM works, else the most that can be emulated.
    #[default]
    Best,
    /// The host's own, exactly; cannot move to another model of host.
    HostPassthrough,
    /// A named model close to the host's, which can move to equal or newer hosts.
    HostModel,
    /// Everything that this host's QEMU can give.
    Maximum,
    /// A model in QEMU's spelling, such as `Skylake-Server`.
    Named(CpuName),
}

impl TryFrom<String> for CpuModel {
    type Error = crate::name::NameError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Ok(match text.as_str() {
            "best" => Self::Best,
            "host-passthrough" => Self::HostPassthrough,
            "host-model" => Self::HostModel,
            "maximum" => Self::Maximum,
            _ => Self::Named(text.try_into()?),
        })
    }
}

impl From<CpuModel> for String {
    fn from(model: CpuModel) -> String {
        match model {
            CpuModel::Best => "best".into(),
            CpuModel::HostPassthrough => "host-passthrough".into(),
            CpuModel::HostModel => "host-model".into(),
            CpuModel::Maximum => "maximum".into(),
            CpuModel::Named(name) => name.into(),
        }
    }
}

text_schema! {
    CpuModel = "`best`, `host-passthrough`, `host-model`, `maximum`, or a model in QEMU's spelling",
        "host-passthrough";
}

/// How processors are laid out: their count is the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CpuTopology {
    /// Sockets: 1 to 64.
    #[schema(minimum = 1, maximum = 64)]
    #[serde(default = "one")]
    pub sockets: u32,
    /// Cores in each socket: 1 to 1,024.
    #[schema(minimum = 1, maximum = 1024)]
    #[serde(default = "one")]
    pub cores: u32,
    /// Threads in each core: 1 to 8.
    #[schema(minimum = 1, maximum = 8)]
    #[serde(default = "one")]
    pub threads: u32,
}

const fn one() -> u32 {
    1
}

/// A set of host CPUs in the kernel's list form: `0-3,8`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "0-3,8", pattern = "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$")]
pub struct CpuSet(Vec<(u32, u32)>);

impl CpuSet {
    /// The CPUs' numbers, as ranges with both ends included.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }
}

impl TryFrom<String> for CpuSet {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let range = |part: &str| -> Option<(u32, u32)> {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last && last < 65_536).then_some((first, last))
        };
        text.split(',')
            .map(range)
            .collect::<Option<Vec<_>>>()
            .map(Self)
            .ok_or_else(|| {
                let text: String = text.chars().take(40).collect();
                format!("{text:?} is not a set of CPUs: write numbers and ranges, such as 0-3,8")
            })
    }
}

impl From<CpuSet> for String {
    fn from(set: CpuSet) -> String {
        let ranges = set.0.iter().map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        });
        ranges.collect::<Vec<_>>().join(",")
    }
}

/// What is to be done about a CPU feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FeaturePolicy {
    /// The guest must have it; where the host can't give it, the VM does not start.
    Require,
    /// The guest gets it where the host has it.
    Optional,
    /// The guest does not see it.
    Disable,
}
