// SPDX-License-Identifier: GPL-3.0-or-later
//! What root lays out for the attempts, and clears away.
//!
//! A canary that only root may read, a folder that only root may enter, two VMs of the actors' own,
//! and one of somebody else whose guest says a secret on its console. All that it makes has a name
//! that begins with `hv-attack`.

mod grants;
mod picture;
mod places;
mod root;
mod talker;
mod users;

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::fs::FlockOperation;
use serde_json::{Value, json};

use self::places::Daemon;
pub use self::places::Places;
pub(crate) use self::root::Root;
pub(crate) use self::root::virsh;
pub use self::talker::disk as talker;
use crate::{Actor, Arena, Known, Trouble, http::Door};

/// What the name of everything begins with that the suite makes.
pub(crate) const PREFIX: &str = "hv-attack";
/// The user whom the victim belongs to.
const VICTIMS_OWNER: &str = "hv-attack-victim";
/// How large the canary is: as large as the smallest disk.
const CANARY: usize = 1 << 20;

/// Programs for terminals that a VM must not be able to run: set the clipboard, report the title,
/// answer as if somebody typed, with escapes of both kinds.
pub const ESCAPES: &str = "hv-attack-guest \x1b]52;c;aHYtYXR0YWNr\x07\x1b]0;hv-attack-title\x07\x1b[21t\
    \x1b[6n\x05\x1bP$q\"p\x1b\\\u{9d}52;c;aHYtYXR0YWNr\u{9c}\x1b[5i";

/// What takes every capability from a child.
const POWERLESS: [&str; 2] = ["--inh-caps=-all", "--bounding-set=-all"];

/// What nobody but root and the VM's owner knows.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// What the canary is full of.
    pub canary: String,
    /// What the victim's guest says.
    pub console: String,
    /// The victim's tag.
    pub tag: String,
    /// What the victim is described as.
    pub description: String,
}

/// What root has laid out.
#[derive(Debug)]
pub struct Stage {
    /// Root's own ways to the host.
    pub root: Root,
    /// What the actors are told.
    pub arena: Arena,
    /// What they are not.
    pub secrets: Secrets,
    /// The suite's own folder.
    pub folder: PathBuf,
    hvd: Daemon,
    /// Whom hvd's socket is for.
    people: u32,
    /// What the suite's VMs are made as.
    vms: Vec<(Role, Value)>,
    _lock: File,
}

/// What a VM of the suite is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Own,
    Made,
    Victim,
    Linux,
}

impl Stage {
    /// Lays everything out on the host at these places.
    pub fn lay_out(places: &Places) -> Result<Self, Trouble> {
        if !rustix::process::geteuid().is_root() {
            return Err(Trouble::new(
                "the suite lays out a canary that only root may read, and looks what became of it: \
                 run it as root",
            ));
        }
        // Nothing is made before it is known that there is something to attack.
        let hvd = Daemon::behind(&places.socket)?;
        let port = hvd.path("broker_socket", "/run/hv-broker/broker.sock");
        let broker = Daemon::behind(&port)?;
        let libvirt = broker.path("libvirt_uri", "qemu:///system");
        let libvirt = libvirt.to_string_lossy().into_owned();
        let policy = broker.path("policy", "/etc/hyper-nixos/host-policy.toml");
        let host = read_policy(&policy)?;
        let people = fs::metadata(&places.socket).map_err(Trouble::at(&places.socket))?;
        let lock = claim(&places.folder)?;
        let root = Root {
            hvd: Door::Unix(places.socket.clone()),
            libvirt: libvirt.clone(),
        };
        let token = random()?;
        let secrets = Secrets {
            canary: format!("hv-canary-{token}"),
            console: format!("hv-secret-{token}"),
            tag: format!("hv-tag-{token}"),
            description: format!("hv-description-{token}"),
        };
        let listen = |key: &str| hvd.config.get("listen").and_then(|listen| listen.get(key));
        let address = listen("address");
        let has_certificate = listen("certificate").is_some();
        let makes_one = listen("tls").and_then(toml::Value::as_str) == Some("self-made");
        let mut rules = vec![policy];
        rules.extend(hvd.config_file.clone());
        rules.extend(broker.config_file);
        rules.push("/etc/hyper-nixos/host-policy.toml".into());
        rules.push("/etc/libvirt/hooks/qemu.d/hyper-nixos".into());
        let arena = Arena {
            program: reachable(&places.program, &places.folder)?,
            socket: places.socket.clone(),
            address: address.and_then(toml::Value::as_str).map(str::to_owned),
            tls: has_certificate || makes_one,
            port,
            libvirt: libvirt_sockets(&libvirt),
            rules,
            state: hvd.path("state_dir", "/var/lib/hvd"),
            pools: host.pools,
            canary: places.folder.join("canary"),
            cellar: places.folder.join("cellar"),
            network: host.network,
            image: format!("{PREFIX}-plain"),
            victims_owner: VICTIMS_OWNER.to_owned(),
            ..Arena::default()
        };
        let mut stage = Self {
            root,
            arena,
            secrets,
            folder: places.folder.clone(),
            hvd,
            people: people.gid(),
            vms: Vec::new(),
            _lock: lock,
        };
        match stage.furnish(&token, places.linux_image.as_deref()) {
            Ok(()) => Ok(stage),
            Err(trouble) => {
                // As much as can be; the next run clears the rest.
                stage.clear().ok();
                Err(trouble)
            }
        }
    }

    fn furnish(&mut self, token: &str, linux: Option<&str>) -> Result<(), Trouble> {
        self.make_users()?;
        self.sweep()?;
        self.give_grants()?;
        self.make_canary()?;
        self.make_images(token)?;
        self.vms = self.specs(token, linux);
        self.mend()
    }

    /// What each VM of the suite is made as.
    fn specs(&self, token: &str, linux: Option<&str>) -> Vec<(Role, Value)> {
        let small = |name: &str, image: &str| {
            json!({
                "name": format!("{PREFIX}-{name}"), "memory": "64MiB", "rng": "off", "agent": "off",
                "disks": [{"image": format!("{PREFIX}-{image}"), "size": "1MiB"}],
            })
        };
        let mut own = small("own", "escapes");
        own["owner"] = json!(Actor::Operator.user_name());
        // With the agent's channel, beside which libvirt can plug another one into it.
        own["agent"] = json!("on");
        let mut made = small("made", "plain");
        made["owner"] = json!(Actor::Creator.user_name());
        // Its name can't be guessed by whoever is not told.
        let mut victim = small(
            &format!("victim-{}", token.get(..8).unwrap_or(token)),
            "victim",
        );
        victim["owner"] = json!(VICTIMS_OWNER);
        victim["tags"] = json!([self.secrets.tag]);
        victim["description"] = json!(self.secrets.description);
        if let Some(network) = &self.arena.network {
            victim["nics"] = json!([{"network": network}]);
        }
        let mut vms = vec![(Role::Own, own), (Role::Made, made), (Role::Victim, victim)];
        if let Some(image) = linux {
            let nics = self
                .arena
                .network
                .iter()
                .map(|network| json!({"network": network}));
            let linux = json!({
                "name": format!("{PREFIX}-linux"), "memory": "256MiB",
                "owner": Actor::Operator.user_name(), "disks": [{"image": image}],
                "nics": nics.collect::<Vec<_>>(),
            });
            vms.push((Role::Linux, linux));
        }
        vms
    }

    fn make_images(&self, token: &str) -> Result<(), Trouble> {
        let says = |text: String| talker::disk(format!("\r\n{text}\r\n").as_bytes(), &[]);
        for (name, disk) in [
            (
                "plain",
                says(format!("a plain guest of the attack suite {token}")),
            ),
            ("victim", says(self.secrets.console.clone())),
            ("escapes", says(ESCAPES.to_owned())),
        ] {
            self.root.add_image(&format!("{PREFIX}-{name}"), &disk)?;
        }
        Ok(())
    }

    fn make_canary(&self) -> Result<(), Trouble> {
        let Arena { canary, cellar, .. } = &self.arena;
        remove(canary)?;
        remove(cellar)?;
        fs::create_dir(cellar).map_err(Trouble::at(cellar))?;
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(cellar, private).map_err(Trouble::at(cellar))?;
        let line = format!("{}\n", self.secrets.canary);
        let content: String = line.repeat(CANARY / line.len() + 1);
        let content = content.get(..CANARY).unwrap_or(&content);
        fs::write(canary, "").map_err(Trouble::at(canary))?;
        fs::set_permissions(canary, fs::Permissions::from_mode(0o600))
            .map_err(Trouble::at(canary))?;
        chown(canary, Some(0), Some(0)).map_err(Trouble::at(canary))?;
        fs::write(canary, content).map_err(Trouble::at(canary))
    }

    /// Makes everything as it was laid out, whatever an attempt did to it.
    pub fn mend(&mut self) -> Result<(), Trouble> {
        let canary = &self.arena.canary;
        let status = fs::symlink_metadata(canary);
        let whole = status.is_ok_and(|status| {
            status.is_file() && (status.uid(), status.mode() & 0o7777) == (0, 0o600)
        });
        let begins = fs::read(canary).is_ok_and(|text| {
            text.len() == CANARY && text.starts_with(self.secrets.canary.as_bytes())
        });
        let cellar_is_empty =
            fs::read_dir(&self.arena.cellar).is_ok_and(|mut names| names.next().is_none());
        if !(whole && begins && cellar_is_empty) {
            self.make_canary()?;
        }
        self.give_grants()?;
        self.mend_vms()
    }

    fn mend_vms(&mut self) -> Result<(), Trouble> {
        let seen = self.vms_of_suite()?;
        let wanted: Vec<&str> = self
            .vms
            .iter()
            .filter_map(|(_, spec)| spec["name"].as_str())
            .collect();
        let fits = |vm: &Value| {
            let spec = self.vms.iter().find(|(_, spec)| spec["name"] == vm["name"]);
            spec.is_some_and(|(role, spec)| {
                let state = if *role == Role::Made {
                    "off"
                } else {
                    "running"
                };
                let tags = spec.get("tags").cloned().unwrap_or(Value::Null);
                let managed = vm["managed"] == "managed";
                managed
                    && vm["state"] == state
                    && vm["owner"] == spec["owner"]
                    && vm.get("tags").cloned().unwrap_or(Value::Null) == tags
                    && vm["generation"] == 1
            })
        };
        for vm in &seen {
            let name = vm["name"].as_str().unwrap_or_default();
            if !wanted.contains(&name) || !fits(vm) {
                self.remove_vm(vm)?;
            }
        }
        let seen = self.vms_of_suite()?;
        let specs = self.vms.clone();
        for (role, spec) in &specs {
            let found = seen.iter().find(|vm| vm["name"] == spec["name"]).cloned();
            let vm = match found {
                Some(vm) => vm,
                None => self.make_vm(*role, spec)?,
            };
            let known = Known {
                name: vm["name"].as_str().unwrap_or_default().to_owned(),
                id: vm["id"].as_str().unwrap_or_default().to_owned(),
            };
            match role {
                Role::Own => self.arena.own = known,
                Role::Made => self.arena.made = known,
                Role::Victim => self.arena.victim = known,
                Role::Linux => self.arena.linux = Some(known),
            }
        }
        Ok(())
    }

    fn make_vm(&self, role: Role, spec: &Value) -> Result<Value, Trouble> {
        let then = if role == Role::Made {
            "nothing"
        } else {
            "start"
        };
        let body = json!({"spec": spec, "then": then});
        self.root.change("POST", "/v1/vms", &body)?;
        let name = spec["name"].as_str().unwrap_or_default();
        self.root.get(&format!("/v1/vms/{name}"))
    }

    /// Everything that bears the suite's name, or belongs to one of its actors.
    fn vms_of_suite(&self) -> Result<Vec<Value>, Trouble> {
        let owners: Vec<String> = Actor::ALL
            .iter()
            .filter_map(|actor| actor.user_name())
            .chain([VICTIMS_OWNER.to_owned()])
            .collect();
        let mut found = Vec::new();
        for list in ["/v1/vms", "/v1/vms?trash=true"] {
            let list = self.root.get(list)?;
            let items = list["items"].as_array().cloned().unwrap_or_default();
            found.extend(items.into_iter().filter(|vm| {
                vm["name"]
                    .as_str()
                    .is_some_and(|name| name.starts_with(PREFIX))
                    || vm["owner"]
                        .as_str()
                        .is_some_and(|owner| owners.iter().any(|own| own == owner))
            }));
        }
        Ok(found)
    }

    /// Removes a VM for good, whoever made it.
    pub(crate) fn remove_vm(&self, vm: &Value) -> Result<(), Trouble> {
        let id = vm["id"].as_str().unwrap_or_default();
        if vm["managed"] == "foreign" {
            return self.remove_domain(id);
        }
        self.quiet(id)?;
        let state = self.root.get(&format!("/v1/vms/{id}"))?["state"].clone();
        if state != "trashed" {
            let path = format!("/v1/vms/{id}?running=force-off");
            self.root.change("DELETE", &path, &Value::Null)?;
        }
        let path = format!("/v1/vms/{id}/purge");
        self.root.change("POST", &path, &Value::Null).map(drop)
    }

    /// Ends what is under way on a VM.
    fn quiet(&self, id: &str) -> Result<(), Trouble> {
        for state in ["queued", "running"] {
            let list = self
                .root
                .get(&format!("/v1/operations?vm={id}&state={state}"))?;
            for operation in list["items"].as_array().into_iter().flatten() {
                self.cancel(operation["id"].as_str().unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// Removes a domain of libvirt's, by its name or id; one that is not there is fine.
    pub(crate) fn remove_domain(&self, domain: &str) -> Result<(), Trouble> {
        if self.root.virsh(&["domid", domain]).is_err()
            && self.root.virsh(&["domstate", domain]).is_err()
        {
            return Ok(());
        }
        // It may be off already, which virsh takes for a fault.
        self.root.virsh(&["destroy", domain]).ok();
        match self.root.virsh(&["undefine", domain, "--nvram"]) {
            Err(trouble) if self.root.virsh(&["domstate", domain]).is_ok() => Err(trouble),
            _ => Ok(()),
        }
    }

    /// Removes what an earlier run left.
    fn sweep(&self) -> Result<(), Trouble> {
        for vm in self.vms_of_suite()? {
            self.remove_vm(&vm)?;
        }
        let images = self.root.get("/v1/images")?;
        for image in images["items"].as_array().into_iter().flatten() {
            let name = image["name"].as_str().unwrap_or_default();
            if name.starts_with(PREFIX) {
                let path = format!("/v1/images/{name}");
                self.root.change("DELETE", &path, &Value::Null)?;
            }
        }
        Ok(())
    }

    /// Clears everything away.
    pub fn clear(&self) -> Result<(), Trouble> {
        self.sweep()?;
        self.take_grants()?;
        remove(&self.arena.canary)?;
        remove(&self.arena.cellar)?;
        self.remove_users()?;
        remove(&self.folder)
    }

    /// What an actor is told.
    pub(crate) fn arena_of(&self, actor: Actor) -> Arena {
        let mut arena = self.arena.clone();
        if actor == Actor::Creator {
            arena.own = arena.made.clone();
        }
        arena
    }

    /// A child of the suite that is this actor, and nobody else any more.
    pub(crate) fn child(&self, actor: Actor) -> Result<Child, Trouble> {
        let (user, group, groups) = match actor.user() {
            // Who has an account and nothing else is not one of those whom hvd's socket is for.
            Some(user) if actor == Actor::Anonymous => (user, user, Vec::new()),
            Some(user) => (user, user, vec![self.people]),
            None => (self.hvd.user, self.hvd.group, self.hvd.groups.clone()),
        };
        if user == 0 && actor != Actor::Root {
            return Err(Trouble(format!(
                "{actor} runs as root here, so there is nothing to try"
            )));
        }
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let groups = match groups.as_slice() {
            [] => "--clear-groups".to_owned(),
            groups => format!("--groups={}", groups.join(",")),
        };
        Command::new("setpriv")
            .arg("--pdeathsig=KILL")
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={group}"))
            .arg(groups)
            .args(if actor == Actor::Root {
                &[][..]
            } else {
                &POWERLESS
            })
            .arg(&self.arena.program)
            .args(["attack", "act"])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Trouble(format!("setpriv, which is in util-linux: {error}")))
    }
}

/// A program where every user can run it: where it is, or else a copy in the suite's folder.
fn reachable(program: &Path, folder: &Path) -> Result<PathBuf, Trouble> {
    let mut folders = program.ancestors().skip(1);
    if folders.all(|folder| fs::metadata(folder).is_ok_and(|status| status.mode() & 1 != 0)) {
        return Ok(program.to_owned());
    }
    let copy = folder.join("hv");
    fs::copy(program, &copy).map_err(Trouble::at(&copy))?;
    Ok(copy)
}

/// What the host's policy allows that the suite uses.
struct Allowed {
    pools: Vec<PathBuf>,
    network: Option<String>,
}

fn read_policy(path: &Path) -> Result<Allowed, Trouble> {
    let text = fs::read_to_string(path).map_err(Trouble::at(path))?;
    let policy: toml::Table = text
        .parse()
        .map_err(|error| Trouble(format!("{}: {error}", path.display())))?;
    let list = |key: &str| policy.get(key).and_then(toml::Value::as_array).cloned();
    let pools = list("pools").unwrap_or_default();
    let pools = pools.iter().filter_map(|pool| pool.get("path")?.as_str());
    let networks = list("networks").unwrap_or_default();
    Ok(Allowed {
        pools: pools.map(PathBuf::from).collect(),
        network: networks
            .first()
            .and_then(toml::Value::as_str)
            .map(str::to_owned),
    })
}

/// The sockets of the libvirt at this address, the one for changes first.
fn libvirt_sockets(uri: &str) -> Vec<PathBuf> {
    let named = uri
        .split_once("socket=")
        .map(|(_, path)| PathBuf::from(path));
    let socket = named.unwrap_or_else(|| "/run/libvirt/libvirt-sock".into());
    let read_only = PathBuf::from(format!("{}-ro", socket.display()));
    vec![socket, read_only]
}

/// Takes a folder for the suite, and makes sure that no other run uses it.
fn claim(folder: &Path) -> Result<File, Trouble> {
    let made = fs::create_dir_all(folder);
    made.map_err(Trouble::at(folder))?;
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder, open).map_err(Trouble::at(folder))?;
    let path = folder.join("lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(Trouble::at(&path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(Trouble(format!(
            "another run of the suite uses {}",
            folder.display()
        ))),
    }
}

fn remove(path: &Path) -> Result<(), Trouble> {
    let removed = match fs::symlink_metadata(path) {
        Ok(status) if status.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.map_err(Trouble::at(path))
}

/// Sixteen characters that nobody can guess.
pub(crate) fn random() -> Result<String, Trouble> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 8];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(Trouble::at(path))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

impl Stage {
    /// Pauses the victim and lets it go on, so that there are events and operations
    /// about it.
    pub(crate) fn stir(&self) -> Result<(), Trouble> {
        for action in ["pause", "resume"] {
            let path = format!("/v1/vms/{}/{action}", self.arena.victim.id);
            self.root.change("POST", &path, &Value::Null)?;
        }
        Ok(())
    }

    /// Ends an operation, if it is not over yet.
    pub(crate) fn cancel(&self, operation: &str) -> Result<(), Trouble> {
        let path = format!("/v1/operations/{operation}");
        let is_over = |seen: &Value| !matches!(seen["state"].as_str(), Some("queued" | "running"));
        if !is_over(&self.root.get(&path)?) {
            let cancel = format!("{path}/cancel");
            self.root.hvd.change("POST", &cancel, &Value::Null)?;
        }
        if is_over(&self.root.get(&path)?) {
            return Ok(());
        }
        Err(Trouble(format!("the operation {operation} can't be ended")))
    }

    /// Removes the VM of this name, if there is one, whoever made it.
    pub(crate) fn remove_vm_named(&self, name: &str) -> Result<(), Trouble> {
        match self.root.get(&format!("/v1/vms/{name}")) {
            Ok(vm) => self.remove_vm(&vm),
            Err(_) => self.remove_domain(name),
        }
    }
}
