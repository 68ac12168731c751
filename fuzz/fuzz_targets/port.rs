// SPDX-License-Identifier: GPL-3.0-or-later
//! What hvd sends to the broker: every frame is answered in form or ends the connection.
//!
//! Each line of the input is the content of a frame, unless its first byte is `=`: then the rest
//! are the bytes of the connection as they are.
#![no_main]

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::mpsc::Receiver,
};

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
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let bytes = match input {
        [b'=', raw @ ..] => raw.to_vec(),
        lines => framed(lines),
    };
    let (near, mut far) = UnixStream::pair().expect("a pair of sockets");
    far.write_all(&bytes).expect("it fits into the buffer");
    far.shutdown(Shutdown::Write).expect("it is connected");
    hv_port::serve_alone(near, &Refusing);
    let mut answers = Vec::new();
    // What the broker left unread resets the connection.
    let _ = far.read_to_end(&mut answers);
    let Some(mut answers) = answers.strip_prefix(greeting().as_slice()) else {
        panic!("the broker greets first: {answers:?}");
    };
    while let Some((length, rest)) = answers.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        let (answer, rest) = rest.split_at(length);
        let answer = serde_json::from_slice::<Result<()>>(answer).expect("an answer in form");
        assert!(answer.is_err(), "what was refused was done");
        answers = rest;
    }
    assert!(answers.is_empty());
});

fn greeting() -> Vec<u8> {
    let mut greeting = b"HV-PORT\n".to_vec();
    greeting.extend(hv_port::VERSION.to_be_bytes());
    greeting
}

fn framed(lines: &[u8]) -> Vec<u8> {
    let mut bytes = greeting();
    for line in lines.split(|byte| *byte == b'\n') {
        let length = u32::try_from(line.len()).expect("an input is short");
        bytes.extend(length.to_be_bytes());
        bytes.extend(line);
    }
    bytes
}

/// A host that does nothing for anybody.
struct Refusing;

macro_rules! refusing {
    ($($method:ident($($argument:ty),*) -> $answer:ty;)*) => {
        impl Hypervisor for Refusing {
            fn on_behalf_of(&self, person: &Behalf) -> Box<dyn Hypervisor> {
                drop(serde_json::to_string(person));
                Box::new(Self)
            }

            $(fn $method(&self, $(_: $argument),*) -> Result<$answer> {
                Err(HypervisorError::new(HypervisorErrorKind::Refused, stringify!($method)))
            })*
        }
    };
}

refusing! {
    host() -> Host;
    rights() -> Vec<Finding>;
    vms() -> Vec<VmFacts>;
    details(&[VmId]) -> Vec<VmDetails>;
    stats() -> Vec<VmStats>;
    define(&Definition) -> ();
    adopt(&Definition) -> ();
    undefine(VmId) -> ();
    erase(&Definition) -> ();
    start(VmId) -> ();
    shut_down(VmId, GuestRequest) -> ();
    reboot(VmId, GuestRequest) -> ();
    force_off(VmId) -> ();
    reset(VmId) -> ();
    pause(VmId) -> ();
    resume(VmId) -> ();
    save(VmId) -> ();
    discard_saved(VmId) -> ();
    rename(VmId, &VmName) -> ();
    change_live(VmId, &LiveChange) -> ();
    console(VmId, Takeover) -> OwnedFd;
    guest(VmId) -> Guest;
    pools() -> Vec<Pool>;
    volumes(&PoolName) -> Vec<Volume>;
    create_volume(&NewVolume) -> ();
    resize_volume(&VolumeRef, Size) -> ();
    delete_volume(&VolumeRef) -> ();
    upload_image(&VolumeRef, VolumeFormat, u64, OwnedFd) -> ImageFacts;
    networks() -> Vec<Network>;
    subscribe() -> Receiver<Fact>;
}
