// SPDX-License-Identifier: GPL-3.0-or-later
//! One thing that somebody tries, and which layer must stop it.

use serde::{Deserialize, Serialize};

use crate::{Actor, Arena, Facts, Loot, Stage, Trouble};

/// Something that somebody tries.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Its name: words with hyphens, unique.
    pub name: &'static str,
    /// What is tried, in plain words: `read the console of somebody else's VM`.
    pub goal: &'static str,
    /// What success would have looked like, in plain words.
    pub success: &'static str,
    /// Who tries it.
    pub actors: &'static [Actor],
    /// The layer that must stop it.
    pub layer: Layer,
    /// What is switched off to show that it works where the layer is not.
    pub off: &'static [Off],
    /// The attempt that does the same past its layer, if there is one.
    pub twin: Option<&'static str>,
    /// What root lays out for it.
    pub set_up: fn(&Stage, &mut Facts) -> Result<(), Trouble>,
    /// What the actor does, in a process of their own.
    pub run: fn(&Arena, &Facts) -> Result<Loot, Trouble>,
    /// Evidence that it succeeded, beyond what is looked at after each attempt.
    pub evidence: fn(&Stage, &Facts, &Loot) -> Option<String>,
    /// What root clears away.
    pub clear: fn(&Stage, &Facts) -> Result<(), Trouble>,
}

impl Attempt {
    /// What most attempts share: nothing is laid out, and only the usual is looked at.
    pub const PLAIN: Self = Self {
        name: "",
        goal: "",
        success: "",
        actors: &[],
        layer: Layer::Decision,
        off: &[Off::Decision],
        twin: None,
        set_up: |_, _| Ok(()),
        run: |_, _| Err(Trouble(String::new())),
        evidence: |_, _, _| None,
        clear: |_, _| Ok(()),
    };
}

macro_rules! layers {
    ($($(#[doc = $doc:literal])* $variant:ident = $slug:literal, $words:literal;)*) => {
        /// Something that stops attempts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Layer {$( $(#[doc = $doc])* $variant, )*}

        impl Layer {
            /// The layer in words.
            pub const fn words(self) -> &'static str {
                match self {$(Self::$variant => $words),*}
            }

            /// Its name in JSON.
            pub const fn as_str(self) -> &'static str {
                match self {$(Self::$variant => $slug),*}
            }
        }
    };
}

layers! {
    /// hvd decides who may do what.
    Decision = "decision", "hvd's decision on who may do what";
    /// hvd counts what each has.
    Quota = "quota", "hvd's quotas, exact however many ask at once";
    /// Only what the format of specs knows can be asked for, and names are names.
    Spec = "spec", "the typed spec, which has no place for it";
    /// The broker judges every call by the host's policy.
    Policy = "policy", "the broker, by the host's policy";
    /// The broker only touches what the product made.
    Ownership = "ownership", "the broker, which touches only what is the product's";
    /// Images are examined before they are stored.
    Image = "image", "the look at images, which refuses whatever points elsewhere";
    /// `hv-guard` as libvirt's hook.
    Hook = "hook", "hv-guard, libvirt's hook";
    /// libvirt's sockets are open to the broker only.
    Libvirt = "libvirt", "libvirt's socket, which is open to the broker alone";
    /// The port serves only hvd's user.
    Port = "port", "the port, which serves only hvd's user";
    /// The port's frames are limited and typed.
    Frames = "frames", "the port's framing, with its limits and types";
    /// Owners and modes of files.
    Files = "files", "the owners and modes of files";
    /// Who comes over the network must log in.
    Login = "login", "the login that the network address asks for";
    /// Requests from web pages of others are refused.
    Web = "web", "the checks of Host and Origin";
    /// HTTP is limited in size and time.
    Limits = "limits", "the limits on size and time";
    /// What a VM sends to a terminal is filtered.
    Terminal = "terminal", "the filter between a VM and the terminal";
    /// What guests say is bounded and cleaned.
    Guest = "guest", "the bounds on what a guest may say";
    /// Packets with a forged sender are dropped.
    Spoofing = "spoofing", "the spoof filter on the VM's interface";
    /// A disk's format is said to QEMU, never probed.
    Format = "format", "the disk's format, which is said and never probed";
}

/// What is switched off to show that an attempt works where its layer is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Off {
    /// It is carried out by somebody who may everything.
    Decision,
    /// The host's policy allows it.
    Policy,
    /// libvirt runs no hook.
    Hook,
    /// libvirt's sockets are open to everybody.
    Libvirt,
    /// The port's socket and the list of its users are open to everybody.
    Port,
    /// It is carried out by root, to whom the owners and modes of files mean nothing.
    Files,
    /// The filter that VMs' interfaces name lets everything pass.
    Spoofing,
    /// What the layer is given is put past it, by root's own tools or a program without the layer.
    Past,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// It was stopped.
    Stopped {
        /// How the actor was told; nothing, where they were told nothing.
        told: Option<String>,
    },
    /// It succeeded.
    Succeeded {
        /// What shows that.
        evidence: String,
    },
    /// It could not be carried out, which is no pass.
    NotTried {
        /// Why.
        why: String,
    },
}
