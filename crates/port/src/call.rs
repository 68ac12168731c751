// SPDX-License-Identifier: GPL-3.0-or-later
//! The table of calls: one line makes a method of the port a message, its sender and its receiver.

use std::os::fd::OwnedFd;

use hv_model::{
    host::Host,
    hypervisor::{
        Behalf, Definition, Fact, Guest, GuestRequest, Hypervisor, HypervisorError,
        HypervisorErrorKind, LiveChange, NewVolume, Result, Takeover, VmDetails, VmFacts, VmStats,
    },
    id::VmId,
    image::ImageFacts,
    name::{PoolName, VmName},
    network::Network,
    rights::Finding,
    size::Size,
    storage::{Pool, Volume, VolumeFormat, VolumeRef},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    client::Client,
    wire::{ANSWER_LIMIT, Frame},
};

/// What a client may send.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(
    clippy::large_enum_variant,
    reason = "one lives at a time, and not for long"
)]
pub(crate) enum Request {
    /// A call; one answer follows.
    Call {
        /// The person that it is made for; the service's own, if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        behalf: Option<Behalf>,
        /// The method, with its arguments.
        method: Call,
    },
    /// A wish for facts; an answer without a value follows, and then facts until the end.
    Subscribe,
}

/// How much time a call is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// The host only has to look something up, or to pass something on.
    Brief,
    /// The host waits for QEMU, or writes a VM's memory.
    Long,
    /// As many bytes as a disk has are moved.
    Bulk,
}

/// Stands in a call for a descriptor that comes along.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Passed;

/// What is sent back for a call.
#[derive(Debug)]
pub(crate) struct Answer {
    /// A `Result` as JSON.
    pub(crate) payload: Vec<u8>,
    /// A descriptor that goes along.
    pub(crate) descriptor: Option<OwnedFd>,
}

impl Answer {
    /// An answer with a value.
    pub(crate) fn with_value<T: Serialize>(result: &Result<T>) -> Self {
        let told = serde_json::to_vec(result).map_err(|error| error.to_string());
        let told = told.and_then(|payload| match payload.len() {
            0..=ANSWER_LIMIT => Ok(payload),
            length => Err(format!("it has {length} bytes; allowed are {ANSWER_LIMIT}")),
        });
        let payload = told.unwrap_or_else(|why| {
            let message = format!("the answer can't be sent: {why}");
            let error = HypervisorError::new(HypervisorErrorKind::Internal, message);
            serde_json::to_vec(&Result::<()>::Err(error)).unwrap_or_default()
        });
        Self {
            payload,
            descriptor: None,
        }
    }

    fn with_descriptor(result: Result<OwnedFd>) -> Self {
        match result {
            Ok(descriptor) => Self {
                descriptor: Some(descriptor),
                ..Self::with_value(&Result::Ok(()))
            },
            Err(error) => Self::with_value(&Result::<()>::Err(error)),
        }
    }
}

/// The value in an answer.
pub(crate) fn value<T: DeserializeOwned>(frame: &Frame) -> Result<T> {
    frame
        .read::<Result<T>>()
        .unwrap_or_else(|error| Err(nonsense(&error)))
}

fn descriptor(frame: Frame) -> Result<OwnedFd> {
    value::<()>(&frame)?;
    frame
        .descriptor
        .ok_or_else(|| nonsense(&"a descriptor is missing"))
}

fn nonsense(why: &dyn std::fmt::Display) -> HypervisorError {
    let message = format!("the broker's answer makes no sense: {why}");
    HypervisorError::new(HypervisorErrorKind::Internal, message)
}

/// The type that a call's message holds for an argument's type.
macro_rules! owned_type {
    (OwnedFd) => { Passed };
    (&[$item:ty]) => { Vec<$item> };
    (&$borrowed:tt) => { $borrowed };
    ($value:ident) => { $value };
}

/// An argument as a call's message holds it; a descriptor goes to `$aside`.
macro_rules! owned {
    ($argument:ident, $aside:ident, OwnedFd) => {{
        $aside = Some($argument);
        Passed
    }};
    ($argument:ident, $aside:ident, $($other:tt)+) => {
        $argument.to_owned()
    };
}

/// An argument as the method takes it; a descriptor comes from `$aside`.
macro_rules! lent {
    ($argument:ident, $aside:ident, OwnedFd) => {{
        let Passed = $argument;
        match $aside {
            Some(descriptor) => descriptor,
            None => {
                let message = concat!("the descriptor for ", stringify!($argument), " is missing");
                let error = HypervisorError::new(HypervisorErrorKind::Invalid, message);
                return Answer::with_value(&Result::<()>::Err(error));
            }
        }
    }};
    ($argument:ident, $aside:ident, &$borrowed:tt) => {
        &$argument
    };
    ($argument:ident, $aside:ident, $value:ident) => {
        $argument
    };
}

/// What a method's result is turned into.
macro_rules! answered {
    (OwnedFd, $result:expr) => {
        Answer::with_descriptor($result)
    };
    ($($other:ident)?, $result:expr) => {
        Answer::with_value(&$result)
    };
}

/// What a method returns.
macro_rules! returned {
    () => {
        ()
    };
    ($type:ty) => {
        $type
    };
}

/// A method's result, taken from its answer.
macro_rules! taken {
    (OwnedFd, $frame:expr) => {
        descriptor($frame)
    };
    ($($other:ident)?, $frame:expr) => {
        value(&$frame)
    };
}

macro_rules! calls {
    ($(
        $patience:ident $method:ident (
            $($argument:ident: $(&$borrowed:tt)? $($value:ident)?),*
        ) $(-> $answer:ident $(<$item:ident>)?)?;
    )*) => {
        /// A call: a method of the port with its arguments.
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(non_camel_case_types, reason = "a variant has its method's name, so one table does")]
        #[allow(clippy::large_enum_variant, reason = "one lives at a time, and not for long")]
        pub(crate) enum Call {
            $($method { $($argument: owned_type!($(&$borrowed)? $($value)?)),* },)*
        }

        impl Call {
            /// The method's name.
            pub(crate) fn name(&self) -> &'static str {
                match self { $(Self::$method { .. } => stringify!($method),)* }
            }

            /// Calls the method.
            pub(crate) fn serve(self, host: &dyn Hypervisor, aside: Option<OwnedFd>) -> Answer {
                match self {
                    $(Self::$method { $($argument),* } => {
                        let answer = host.$method(
                            $(lent!($argument, aside, $(&$borrowed)? $($value)?)),*
                        );
                        answered!($($answer)?, answer)
                    })*
                }
            }
        }

        impl Hypervisor for Client {
            fn on_behalf_of(&self, person: &Behalf) -> Box<dyn Hypervisor> {
                Box::new(self.with_behalf(person.clone()))
            }

            $(fn $method(
                &self $(, $argument: $(&$borrowed)? $($value)?)*
            ) -> Result<returned!($($answer $(<$item>)?)?)> {
                #[allow(unused_mut, unused_assignments, reason = "few calls pass a descriptor")]
                let mut aside: Option<OwnedFd> = None;
                let method = Call::$method {
                    $($argument: owned!($argument, aside, $(&$borrowed)? $($value)?)),*
                };
                let frame = self.call(Patience::$patience, method, aside)?;
                taken!($($answer)?, frame)
            })*

            fn subscribe(&self) -> Result<std::sync::mpsc::Receiver<Fact>> {
                self.open_facts()
            }
        }
    };
}

calls! {
    Brief host() -> Host;
    Brief rights() -> Vec<Finding>;
    Brief vms() -> Vec<VmFacts>;
    Brief details(vms: &[VmId]) -> Vec<VmDetails>;
    Brief stats() -> Vec<VmStats>;
    Long define(definition: &Definition);
    Long adopt(definition: &Definition);
    Long undefine(vm: VmId);
    Long erase(definition: &Definition);
    Long start(vm: VmId);
    Brief shut_down(vm: VmId, way: GuestRequest);
    Brief reboot(vm: VmId, way: GuestRequest);
    Long force_off(vm: VmId);
    Brief reset(vm: VmId);
    Brief pause(vm: VmId);
    Brief resume(vm: VmId);
    Long save(vm: VmId);
    Brief discard_saved(vm: VmId);
    Brief rename(vm: VmId, name: &VmName);
    Brief change_live(vm: VmId, change: &LiveChange);
    Brief console(vm: VmId, takeover: Takeover) -> OwnedFd;
    Brief guest(vm: VmId) -> Guest;
    Brief pools() -> Vec<Pool>;
    Brief volumes(pool: &PoolName) -> Vec<Volume>;
    Bulk create_volume(volume: &NewVolume);
    Long resize_volume(volume: &VolumeRef, capacity: Size);
    Long delete_volume(volume: &VolumeRef);
    Bulk upload_image(
        volume: &VolumeRef, format: VolumeFormat, length: u64, source: OwnedFd
    ) -> ImageFacts;
    Brief networks() -> Vec<Network>;
}
