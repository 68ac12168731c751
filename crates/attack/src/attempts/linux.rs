// SPDX-License-Identifier: GPL-3.0-or-later
//! From inside a VM that runs Linux: by what its agent answers, and by forged packets.
//!
//! A shell on the VM's serial console is asked to do each of it.

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::guest::on_terminal;
use crate::{
    Actor, Arena, Attempt, Door, Facts, Known, Layer, Loot, Off, Stage, Trouble,
    http::{read_for, request},
};

/// How long a guest may take to boot, where it is emulated and the machine is busy.
const BOOT: Duration = Duration::from_secs(90);

/// What a hostile guest calls itself: escapes of both kinds, a line of its own, and the end of a
/// JSON text.
const HOSTNAME: &str =
    r#"\033]52;c;eA==\007\n","state":"hv-attack-forged","x":"\302\23552;c;eA==\302\234"#;

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "agent-with-escapes",
        goal: "have a host name that moves the cursor, sets the clipboard or forges a field shown to people",
        success: "a terminal or an answer of the API holds it as it is",
        off: &[Off::Past],
        run: |arena, _| {
            let vm = linux(arena)?;
            let did = shell(
                arena,
                &format!("hostname \"$(printf '{HOSTNAME}')\"; {RESTART_AGENT}"),
            )?;
            // hvd asks again as soon as the agent is back.
            let path = format!("/v1/vms/{}", vm.id);
            let mut known = Value::Null;
            let asked = until(Duration::from_secs(30), || {
                let seen = arena.hvd().get(&path).ok()?;
                known = seen.json()["guest"].take();
                let name = known["hostname"].as_str()?;
                name.contains("52;c;").then_some(seen)
            });
            let mut loot = Loot::default();
            let said = asked.ok_or_else(|| {
                Trouble(format!(
                    "hvd knows of the guest only {known}, which said {did:?}"
                ))
            })?;
            loot.take(&said.body);
            loot.told("what moves a cursor was taken out of what the guest says");
            let hv = format!(
                "{} vm show {} --socket {}",
                arena.program.display(),
                vm.name,
                arena.socket.display()
            );
            loot.take(on_terminal(&hv, "10")?);
            Ok(loot)
        },
        evidence: |stage, _, loot| {
            let linux = stage.arena.linux.as_ref()?;
            let seen = stage.root.get(&format!("/v1/vms/{}", linux.id)).ok()?;
            let escapes = ["\x1b]52", "\u{9d}52"];
            if let Some(sequence) = escapes.iter().find(|sequence| loot.holds(sequence)) {
                return Some(format!("{sequence:?} was shown"));
            }
            (seen["state"] == "hv-attack-forged").then(|| "a field was forged".to_owned())
        },
        ..GUEST
    },
    Attempt {
        name: "agent-without-end",
        goal: "answer the host's questions with bytes that never end",
        success: "hvd or the broker took the memory or ended, or others wait for an answer for seconds",
        off: &[Off::Past],
        run: |arena, _| {
            let vm = linux(arena)?;
            shell(
                arena,
                "killall qemu-ga 2>/dev/null; kill $(cat /run/qemu-ga.pid) 2>/dev/null; \
                 (tr '\\0' 'x' </dev/zero >/dev/virtio-ports/org.qemu.guest_agent.0 2>/dev/null & echo $! >/run/flood)",
            )?;
            let mut loot = Loot::default();
            let path = format!("/v1/vms/{}/shut-down", vm.name);
            // Long enough for the agent to be asked, and for its answer to be waited for.
            let answer = arena
                .hvd()
                .change("POST", &path, &json!({"timeout_seconds": 12}))?;
            loot.answer(&answer);
            Ok(loot)
        },
        clear: |stage, _| stage.remove_linux(),
        ..GUEST
    },
    Attempt {
        name: "agent-nested",
        goal: "answer the host's questions with JSON that is nested without end",
        success: "hvd or the broker took the memory or ended, or others wait for an answer for seconds",
        off: &[Off::Past],
        run: |arena, _| {
            let vm = linux(arena)?;
            shell(
                arena,
                "kill $(cat /run/qemu-ga.pid) 2>/dev/null; \
                 (while :; do echo '{\"return\":'; done >/dev/virtio-ports/org.qemu.guest_agent.0 2>/dev/null & echo $! >/run/flood)",
            )?;
            let mut loot = Loot::default();
            let path = format!("/v1/vms/{}/shut-down", vm.name);
            loot.answer(
                &arena
                    .hvd()
                    .change("POST", &path, &json!({"timeout_seconds": 12}))?,
            );
            Ok(loot)
        },
        clear: |stage, _| stage.remove_linux(),
        ..GUEST
    },
    Attempt {
        name: "forged-mac",
        goal: "send packets in the name of somebody else's interface, by its MAC address",
        success: "the host answered them",
        set_up: note_addresses,
        run: |arena, facts| {
            let mac = facts.get("mac").cloned().unwrap_or_default();
            ping(
                arena,
                &format!(
                    "ip link set eth0 down; ip link set eth0 address {mac}; ip link set eth0 up; \
                ip addr add $own dev eth0 2>/dev/null; ip route add default via $gateway 2>/dev/null"
                ),
            )
        },
        clear: |stage, _| stage.remove_linux(),
        ..SPOOFING
    },
    Attempt {
        name: "forged-address",
        goal: "send packets in the name of another host, by its IP address",
        success: "the host answered them",
        set_up: note_addresses,
        run: |arena, _| {
            ping(
                arena,
                "ip addr flush dev eth0; ip addr add $other/24 dev eth0",
            )
        },
        clear: |stage, _| stage.remove_linux(),
        ..SPOOFING
    },
];

/// What these attempts share.
const GUEST: Attempt = Attempt {
    actors: &[Actor::Guest],
    layer: Layer::Guest,
    ..Attempt::PLAIN
};

const SPOOFING: Attempt = Attempt {
    layer: Layer::Spoofing,
    off: &[Off::Spoofing],
    evidence: |_, _, loot| {
        loot.holds(" 0% packet loss")
            .then(|| "the host answered forged packets".to_owned())
    },
    ..GUEST
};

const RESTART_AGENT: &str = "kill $(cat /run/qemu-ga.pid); sleep 1; qemu-ga --daemonize --method \
    virtio-serial --path /dev/virtio-ports/org.qemu.guest_agent.0 --pidfile /run/qemu-ga.pid \
    --statedir /run --logfile /run/qemu-ga.log";

fn linux(arena: &Arena) -> Result<&Known, Trouble> {
    arena.linux.as_ref().ok_or_else(|| {
        Trouble::new(
            "it takes a guest that runs Linux with a shell on its serial console: name an image of \
             one with --linux",
        )
    })
}

/// Notes the MAC address of somebody else's VM.
fn note_addresses(stage: &Stage, facts: &mut Facts) -> Result<(), Trouble> {
    let xml = stage.root.virsh(&["dumpxml", &stage.arena.victim.name])?;
    let mac = xml
        .split("<mac address='")
        .nth(1)
        .and_then(|rest| rest.split('\'').next());
    let mac = mac.ok_or_else(|| Trouble::new("the VM of somebody else has no interface"))?;
    facts.insert("mac".to_owned(), mac.to_owned());
    Ok(())
}

/// Pings the host from the guest, first as itself and then after this.
fn ping(arena: &Arena, forge: &str) -> Result<Loot, Trouble> {
    let said = shell(
        arena,
        &format!(
            "i=0; while [ $i -lt 40 ] && ! ip -4 addr show dev eth0 | grep -q inet; do sleep 1; i=$((i+1)); done; \
             own=$(ip -4 addr show dev eth0 | sed -n 's/.*inet \\([^ ]*\\).*/\\1/p'); \
             gateway=${{own%.*}}.1; other=${{own%.*}}.77; \
             echo honest: $(ping -c 2 -W 2 $gateway | grep loss); {forge}; \
             echo forged: $(ping -c 3 -W 2 $gateway | grep loss)"
        ),
    )?;
    let line = |word: &str| {
        said.lines()
            .find_map(|line| line.trim().strip_prefix(word))
            .map(str::to_owned)
    };
    match line("honest:") {
        Some(honest) if honest.contains(" 0% packet loss") => {}
        _ => {
            return Err(Trouble(format!(
                "the guest does not reach the host at all: {said:?}"
            )));
        }
    }
    let mut loot = Loot::default();
    let forged =
        line("forged:").ok_or_else(|| Trouble::new("the guest did not say what it saw"))?;
    loot.told(format!(
        "honest packets were answered, and of the forged ones: {}",
        forged.trim()
    ));
    loot.take(forged);
    Ok(loot)
}

/// Has the guest's shell do this, and returns what it said.
fn shell(arena: &Arena, commands: &str) -> Result<String, Trouble> {
    let vm = linux(arena)?;
    let token = std::process::id();
    let upgrade = [("Connection", "upgrade"), ("Upgrade", "hv-console")];
    let path = format!("/v1/vms/{}/console?takeover=force", vm.id);
    let hvd: Door = arena.hvd();
    let mut stream = hvd.open()?;
    stream.write_all(&request("GET", &path, &upgrade, None))?;
    stream.patience(Duration::from_millis(100))?;
    // A shell is there once it answers.
    let mut heard = String::new();
    let ready = until(BOOT, || {
        stream
            .write_all(format!("\necho rea\"\"dy-{token}\n").as_bytes())
            .ok()?;
        heard.push_str(&String::from_utf8_lossy(&read_for(
            &mut *stream,
            Duration::from_millis(700),
        )));
        heard.contains(&format!("ready-{token}")).then_some(())
    });
    if ready.is_none() {
        let heard: String = heard.chars().take(300).collect();
        return Err(Trouble(format!(
            "there is no shell on the guest's console: {heard:?}"
        )));
    }
    // As a file, so that the shell's own editing of lines is out of the way.
    stream.write_all(b"stty -echo; cat >/tmp/do\n")?;
    read_for(&mut *stream, Duration::from_millis(500));
    stream.write_all(format!("{commands}\n\x04").as_bytes())?;
    read_for(&mut *stream, Duration::from_millis(500));
    stream.write_all(format!(". /tmp/do; echo do\"\"ne-{token}\n").as_bytes())?;
    let mut said = String::new();
    let done = until(BOOT, || {
        said.push_str(&String::from_utf8_lossy(&read_for(
            &mut *stream,
            Duration::from_millis(200),
        )));
        said.contains(&format!("done-{token}")).then_some(())
    });
    stream.write_all(b"stty echo\n")?;
    match done {
        Some(()) => Ok(said),
        None => Err(Trouble(format!("the guest's shell did not end: {said:?}"))),
    }
}

/// Looks again and again until there is something, for at most so long.
fn until<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + time;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > end {
            return None;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

impl Stage {
    /// Removes the VM that runs Linux, so that the next attempt gets a new one.
    fn remove_linux(&self) -> Result<(), Trouble> {
        match &self.arena.linux {
            Some(linux) => self.remove_vm(&json!({"id": linux.id, "state": Value::Null})),
            None => Ok(()),
        }
    }
}
