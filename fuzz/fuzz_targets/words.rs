// SPDX-License-Identifier: GPL-3.0-or-later
//! Names, sizes, addresses and the like: what is read is written so that it reads as the same.
#![no_main]

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use hv_model::{
    access::{Grantee, Role, Scope},
    device::{MacAddress, PciAddress, UsbId},
    id::VmId,
    name::{
        BridgeName, CpuName, DeviceName, GrantName, GroupName, HostName, ImageName, MachineName,
        NetworkName, PoolName, RULE, Tag, TokenName, UserGroupName, UserName, VmName, VolumeName,
    },
    size::Size,
    vm::CpuSet,
};
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

fuzz_target!(|text: &str| {
    word::<Size>(text);
    word::<MacAddress>(text);
    word::<Grantee>(text);
    word::<Role>(text);
    word::<Scope>(text);
    word::<VmId>(text);
    name::<VmName>(text);
    name::<ImageName>(text);
    name::<PoolName>(text);
    name::<VolumeName>(text);
    name::<NetworkName>(text);
    name::<BridgeName>(text);
    name::<DeviceName>(text);
    name::<Tag>(text);
    name::<GroupName>(text);
    name::<UserName>(text);
    name::<UserGroupName>(text);
    name::<GrantName>(text);
    name::<TokenName>(text);
    name::<HostName>(text);
    name::<CpuName>(text);
    name::<MachineName>(text);
    value::<PciAddress>(text);
    value::<UsbId>(text);
    value::<CpuSet>(text);
    value::<Size>(text);
    value::<Grantee>(text);
    value::<Scope>(text);
});

fn word<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let written = value.to_string();
        assert_eq!(written.parse().ok(), Some(value), "{text:?} as {written:?}");
    }
}

/// Names stand in paths, in XML and in policies, where none of these may mean anything.
fn name<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    word::<T>(text);
    if text.parse::<T>().is_ok() {
        let special = |c: char| c.is_control() || c.is_whitespace() || "/\\\"'<>&;$`".contains(c);
        assert!(!text.contains(special), "{text:?} is a name; {RULE}");
        assert!(!text.starts_with(['.', '-']), "{text:?} is a name; {RULE}");
    }
}

fn value<T: DeserializeOwned + Serialize + PartialEq + Debug>(text: &str) {
    if let Ok(value) = serde_json::from_value::<T>(Value::from(text)) {
        let written = serde_json::to_value(&value).expect("what is read can be written");
        let again = serde_json::from_value::<T>(written.clone());
        assert_eq!(again.ok(), Some(value), "{text:?} as {written}");
    }
}
