// SPDX-License-Identifier: GPL-3.0-or-later
//! What the host looks like, and what harm came to it between two looks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Stage, places::Daemon, places::numbers};
use crate::{Actor, Loot, Trouble};

/// By how much a daemon may grow in one attempt.
const GROWTH: u64 = 192 << 20;

/// What the host looks like.
#[derive(Debug, Clone)]
pub struct Picture {
    canary: Option<FileLook>,
    cellar: BTreeSet<String>,
    rules: BTreeMap<PathBuf, Option<FileLook>>,
    root_machines: BTreeSet<u32>,
    victim: Result<Value, Trouble>,
    /// Whether the daemons are those that they were, and answer.
    daemons: Result<[(i32, u64); 2], Trouble>,
}

/// What a file looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileLook {
    inode: u64,
    owner: (u32, u32),
    mode: u32,
    /// When its owner, mode or content changed: also if it was changed back.
    changed: (i64, i64),
    content: Vec<u8>,
}

impl FileLook {
    fn at(path: &Path) -> Option<Self> {
        let status = fs::symlink_metadata(path).ok()?;
        let content = if status.is_file() {
            fs::read(path).ok()?
        } else {
            Vec::new()
        };
        Some(Self {
            inode: status.ino(),
            owner: (status.uid(), status.gid()),
            mode: status.mode(),
            changed: (status.ctime(), status.ctime_nsec()),
            content,
        })
    }
}

impl Stage {
    /// What the host looks like now.
    pub fn picture(&self) -> Result<Picture, Trouble> {
        let cellar = fs::read_dir(&self.arena.cellar).map_err(Trouble::at(&self.arena.cellar))?;
        let names =
            cellar.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
        let rules = self.arena.rules.iter();
        let rules = rules.chain([&self.arena.socket, &self.arena.port]);
        Ok(Picture {
            canary: FileLook::at(&self.arena.canary),
            cellar: names.collect(),
            rules: rules
                .map(|path| (path.clone(), FileLook::at(path)))
                .collect(),
            root_machines: root_machines(),
            victim: self.victim(),
            daemons: self.daemons(),
        })
    }

    /// What of the victim must stay as it is.
    fn victim(&self) -> Result<Value, Trouble> {
        let seen = self
            .root
            .get(&format!("/v1/vms/{}", self.arena.victim.id))?;
        let keys = [
            "name",
            "state",
            "since",
            "owner",
            "tags",
            "generation",
            "spec",
            "managed",
        ];
        let kept = keys.iter().map(|key| {
            let value = seen.get(key).cloned().unwrap_or(Value::Null);
            ((*key).to_owned(), value)
        });
        Ok(Value::Object(kept.collect()))
    }

    fn daemons(&self) -> Result<[(i32, u64); 2], Trouble> {
        self.root.get("/v1/version")?;
        let port = hv_port::Client::new(&self.arena.port);
        hv_model::hypervisor::Hypervisor::vms(&port)
            .map_err(|error| Trouble(format!("the broker does not answer: {error}")))?;
        let look = |socket| Daemon::behind(socket).map(|daemon| (daemon.process, daemon.peak()));
        Ok([look(&self.arena.socket)?, look(&self.arena.port)?])
    }

    /// The harm between two looks, and in what was got, as a sentence.
    pub fn harm(
        &self,
        actor: Actor,
        before: &Picture,
        after: &Picture,
        loot: &Loot,
    ) -> Option<String> {
        if loot.holds(&self.secrets.canary) {
            return Some("it got bytes of a file that only root may read".to_owned());
        }
        if actor.is_kept_apart()
            && let Some(what) = self.leak(loot)
        {
            return Some(what);
        }
        damage(before, after)
    }

    /// What of somebody else's VM was got.
    fn leak(&self, loot: &Loot) -> Option<String> {
        let (secrets, victim) = (&self.secrets, &self.arena.victim);
        let what = if loot.holds(&secrets.console) {
            "what the VM of somebody else says on its console"
        } else if loot.holds(&secrets.tag) || loot.holds(&secrets.description) {
            "what the VM of somebody else is described as"
        } else if loot.holds_unasked(&victim.name) || loot.holds_unasked(&victim.id) {
            "the name of a VM of somebody else, for which it did not ask"
        } else {
            return None;
        };
        Some(format!("it got {what}"))
    }
}

fn damage(before: &Picture, after: &Picture) -> Option<String> {
    if before.canary != after.canary {
        return Some(match (&before.canary, &after.canary) {
            (Some(was), Some(is)) if was.content != is.content => {
                "a file that only root may write has another content".to_owned()
            }
            (Some(was), Some(is)) if was.owner != is.owner => format!(
                "a file of root's belongs to user {} now, who can read and write it",
                is.owner.0
            ),
            (Some(_), Some(_)) => {
                "a file of root's was given to somebody else for a while".to_owned()
            }
            _ => "a file of root's is gone".to_owned(),
        });
    }
    if let Some(made) = after.cellar.difference(&before.cellar).next() {
        return Some(format!(
            "the file {made:?} was made in a folder that only root may enter"
        ));
    }
    let changed = before
        .rules
        .iter()
        .find(|(path, look)| after.rules.get(*path) != Some(look));
    if let Some((path, _)) = changed {
        return Some(format!("{} was changed", path.display()));
    }
    if let Some(process) = after.root_machines.difference(&before.root_machines).next() {
        return Some(format!("a QEMU runs as root: process {process}"));
    }
    match (&before.victim, &after.victim) {
        (Ok(was), Ok(is)) if was != is => return Some(difference(was, is)),
        (Ok(_), Err(gone)) => return Some(format!("the VM of somebody else is gone: {gone}")),
        _ => {}
    }
    match (&before.daemons, &after.daemons) {
        (Ok(_), Err(gone)) => Some(gone.0.clone()),
        (Ok(was), Ok(is)) => was.iter().zip(is).zip(["hvd", "hv-broker"]).find_map(
            |(((was, had), (is, has)), name)| {
                if was != is {
                    return Some(format!("{name} ended, and another one runs"));
                }
                let grown = has.saturating_sub(*had);
                (grown > GROWTH).then(|| format!("{name} took {} MiB more memory", grown >> 20))
            },
        ),
        _ => None,
    }
}

fn difference(was: &Value, is: &Value) -> String {
    let names = was.as_object().into_iter().flat_map(|map| map.keys());
    let changed: Vec<_> = names
        .filter(|name| was.get(*name) != is.get(*name))
        .collect();
    let changed = changed.into_iter().map(|name| {
        let show = |value: &Value| value.get(name).map(ToString::to_string).unwrap_or_default();
        let (was, is) = (show(was), show(is));
        if was.len() + is.len() < 100 {
            format!("{name} from {was} to {is}")
        } else {
            name.clone()
        }
    });
    let changed: Vec<_> = changed.collect();
    format!(
        "the VM of somebody else was changed: {}",
        changed.join(", ")
    )
}

/// The processes of QEMU that run as root.
fn root_machines() -> BTreeSet<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten();
    let processes = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let runs_as_root = |process: &u32| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).ok();
        // A QEMU for a VM carries `guest=NAME`; those that libvirt asks for their features do not.
        let is_machine = read("cmdline").is_some_and(|words| words.contains("\0guest="));
        is_machine
            && read("status").is_some_and(|status| numbers(&status, "Uid:").get(1) == Some(&0))
    };
    processes.filter(runs_as_root).collect()
}
