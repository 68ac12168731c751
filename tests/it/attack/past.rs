// SPDX-License-Identifier: GPL-3.0-or-later
//! What attempts do once their layer is passed: by root's own tools, or by a program without it.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use hv_attack::{Arena, Facts, Loot};
use hv_e2e::PrivateHost;
use serde_json::json;

use super::{
    scene::Scene,
    trusting::{Kind, Trusting},
};

/// How long a daemon that is well may take to answer.
const PATIENCE: Duration = Duration::from_secs(4);

mod accounts;

pub(super) use self::accounts::ACCOUNTS;

type Way = fn(&Ground) -> bool;

/// Attempts that no switch of the host's shows to work, and what does.
pub(super) type Ways = &'static [(&'static str, Way)];

pub(super) const REQUESTS: Ways = &[
    ("idempotency-key-of-others", key_again),
    ("grant-to-oneself", grant),
    ("xml-in-description", |ground| {
        ground.injected(
            "description",
            &format!(
                "</d></metadata>{}<metadata><d xmlns='urn:x'>",
                ground.payload()
            ),
        )
    }),
    ("xml-in-description-as-cdata", |ground| {
        ground.injected(
            "cdata",
            &format!(
                "]]></d></metadata>{}<metadata><d xmlns='urn:x'><![CDATA[",
                ground.payload()
            ),
        )
    }),
    ("xml-in-name", |ground| {
        ground.injected("name", &format!("x</name>{}<name>", ground.payload()))
    }),
    ("xml-in-tag", |ground| {
        ground.injected(
            "description",
            &format!(
                "</d></metadata>{}<metadata><d xmlns='urn:x'>",
                ground.payload()
            ),
        )
    }),
    ("xml-in-machine", |ground| {
        ground.injected(
            "machine",
            &format!(
                "q35'>hvm</type></os>{}<os><type arch='x86_64' machine='q35",
                ground.payload()
            ),
        )
    }),
    ("xml-in-cpu-model", |ground| {
        ground.injected(
            "feature",
            &format!(
                "ssse3'/></cpu>{}<cpu><feature policy='optional' name='ssse3",
                ground.payload()
            ),
        )
    }),
    ("xml-in-disk-name", |ground| {
        ground.injected(
            "disk",
            &format!(
                "sdb'/></disk>{}<disk type='file' device='cdrom'><target dev='sdc",
                ground.disk_of_canary()
            ),
        )
    }),
    ("option-in-name", |ground| {
        ground.shell(&format!(
            "sort --output={}/made </dev/null",
            ground.cellar().display()
        ))
    }),
    ("shell-in-name", |ground| {
        ground.shell(&format!(
            "echo start hv-attack-$(touch {}/made)",
            ground.cellar().display()
        ))
    }),
    ("path-in-image-name", |ground| {
        let climbing = format!(
            "x/../../../../../../../../../../../../..{}",
            ground.canary().display()
        );
        fs::create_dir_all(ground.pool().join("x")).unwrap();
        fs::write(ground.pool().join(climbing), "x").unwrap();
        fs::read(ground.canary()).unwrap() == b"x"
    }),
    ("path-as-image", |ground| {
        ground.starts_and_reaches(&Ground::domain(&ground.disk_of_canary()))
    }),
    ("path-as-pool", |ground| {
        let made = ground.cellar().join("made");
        qemu_img(&["create", "-q", "-f", "raw", &made.to_string_lossy(), "1M"]);
        made.exists()
    }),
    // The broker knows how to give no VM such a thing, whatever the policy says; libvirt does.
    ("usb-device", |ground| {
        ground.is_defined_with(
            "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/>\
             <product id='0x5678'/></source></hostdev>",
        )
    }),
    ("pci-device", |ground| {
        ground.is_defined_with(
            "<hostdev mode='subsystem' type='pci'><source><address domain='0x0000' bus='0x00' \
             slot='0x1f' function='0x2'/></source></hostdev>",
        )
    }),
    ("shared-memory", |ground| {
        ground.is_defined_with(
            "<shmem name='hv-attack'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>",
        )
    }),
    ("sql-in-a-filter", sql),
];

pub(super) const IMAGES: Ways = &[
    ("image-with-backing-file", |ground| {
        let file = ground.overlay(&ground.canary().display().to_string());
        ground.starts_and_reaches(&Ground::domain(&disk(&file, "qcow2")))
    }),
    ("image-with-relative-backing-file", |ground| {
        let file = ground.overlay(&format!(
            "../../../../../../../../../../..{}",
            ground.canary().display()
        ));
        ground.starts_and_reaches(&Ground::domain(&disk(&file, "qcow2")))
    }),
    ("image-with-json-backing-file", |ground| {
        let name = ground.canary().display().to_string();
        let file = ground.overlay(&format!(
            "json:{{\"driver\":\"raw\",\"file\":{{\"driver\":\"file\",\"filename\":\"{name}\"}}}}"
        ));
        ground.is_read_from(&file)
    }),
    ("image-with-network-backing", network_backing),
    ("image-with-data-file", data_file),
    // Probed, as whoever does not say the format probes it.
    ("image-that-is-no-raw-one", |ground| {
        let file = ground.overlay(&ground.canary().display().to_string());
        ground.is_read_from(&file)
    }),
    ("image-that-is-a-descriptor", |ground| {
        ground.is_read_from(&ground.descriptor(""))
    }),
    ("image-that-is-a-late-descriptor", |ground| {
        ground.is_read_from(&ground.descriptor("# x\n \n"))
    }),
];

pub(super) const PORT: Ways = &[
    ("port-xml-in-text", |ground| {
        ground.injected(
            "description",
            &format!(
                "</d></metadata>{}<metadata><d xmlns='urn:x'>",
                ground.payload()
            ),
        )
    }),
    ("port-xml-field", |ground| {
        ground.starts_and_reaches(&Ground::domain(&ground.disk_of_canary()))
    }),
    ("port-climbing-volume", |ground| {
        let made = ground.pool().join(format!(
            "../../../../../../../../../../..{}/made",
            ground.cellar().display()
        ));
        qemu_img(&["create", "-q", "-f", "raw", &made.to_string_lossy(), "1M"]);
        ground.cellar().join("made").exists()
    }),
    ("port-define-over-a-foreign-vm", |ground| {
        ground.foreign(|ground, id| {
            let xml = Ground::domain("")
                .replace("<memory", &format!("<uuid>{id}</uuid><memory"))
                .replace("64<", "96<");
            ground.define(&xml);
        })
    }),
    ("port-adopt-as-another-machine", |ground| {
        ground.foreign(|ground, id| {
            let xml = Ground::domain("")
                .replace("<memory", &format!("<uuid>{id}</uuid><memory"))
                .replace("64<", "128<");
            ground.define(&xml);
        })
    }),
    ("port-undefine-a-foreign-vm", |ground| {
        ground.foreign(|ground, id| {
            ground.host().virsh(&["undefine", id]);
        })
    }),
    ("port-rename-a-foreign-vm", |ground| {
        ground.foreign(|ground, id| {
            ground.host().virsh(&["domrename", id, "hv-attack-renamed"]);
        })
    }),
];

pub(super) const FRAMES: Ways = &[
    ("frame-length-bomb", |ground| {
        ground.ends(Kind::Port, "frame-length-bomb")
    }),
    ("frame-depth-bomb", |ground| {
        ground.ends(Kind::Port, "frame-depth-bomb")
    }),
    ("frame-cut-short", |ground| {
        ground.ends(Kind::Port, "frame-cut-short")
    }),
    ("frame-of-another-version", |ground| {
        ground.ends(Kind::Port, "frame-of-another-version")
    }),
    ("frame-with-many-descriptors", |ground| {
        ground.ends(Kind::Port, "frame-with-many-descriptors")
    }),
    ("frame-with-a-wrong-descriptor", |ground| {
        ground.ends(Kind::Port, "frame-with-a-wrong-descriptor")
    }),
    ("frame-without-its-descriptor", |ground| {
        ground.ends(Kind::Port, "frame-without-its-descriptor")
    }),
    ("facts-never-read", |ground| {
        ground.ends(Kind::Port, "facts-never-read")
    }),
];

pub(super) const FLOODS: Ways = &[
    ("endless-headers", |ground| {
        ground.ends(Kind::Http, "endless-headers")
    }),
    ("endless-address", |ground| {
        ground.ends(Kind::Http, "endless-address")
    }),
    ("huge-body", |ground| ground.ends(Kind::Http, "huge-body")),
    ("huge-chunks", |ground| {
        ground.ends(Kind::Http, "huge-chunks")
    }),
    ("deep-json", |ground| ground.ends(Kind::Http, "deep-json")),
    ("idle-connections", |ground| {
        ground.ends(Kind::Http, "idle-connections")
    }),
    ("slow-requests", |ground| {
        ground.ends(Kind::Http, "slow-requests")
    }),
    ("streams-never-read", |ground| {
        ground.ends(Kind::Http, "streams-never-read")
    }),
    ("pipelined-requests", |ground| {
        ground.ends(Kind::Http, "pipelined-requests")
    }),
    // Of what root asks for nothing is refused, and each look at the log is in it.
    ("flood-of-denials", |ground| {
        let newest = || {
            let list = ground
                .scene
                .product
                .json(&["audit", "list", "--limit", "1"]);
            list["items"][0]["sequence"].as_u64().unwrap()
        };
        let before = newest();
        for _ in 0..1_500 {
            ground.asked("GET", "/v1/audit/1", "");
        }
        newest() > before + 1_400
    }),
    ("smuggled-request", |ground| {
        let server = Trusting::start(Kind::Http, ground.folder());
        Ground::attempt("smuggled-request", server.socket())
            .is_some_and(|loot| loot.holds("ANSWERED"))
    }),
];

pub(super) const WEB: Ways = &[
    ("tcp-without-login", |ground| {
        ground.asked("GET", "/v1/vms", "").contains("\"items\"")
    }),
    ("claimed-identity", |ground| {
        ground.asked("GET", "/v1/vms", "").contains("\"items\"")
    }),
    ("tcp-change-without-login", |ground| {
        ground.talking_vm(b"x\r\n");
        ground.asked("POST", "/v1/vms/talker/pause?wait=30s", "");
        let is_paused = ground.scene.product.json(&["vm", "show", "talker"])["state"] == "paused";
        ground.remove_vm();
        is_paused
    }),
    ("page-under-another-name", |ground| {
        ground.over_tcp("").contains("\"api\"")
    }),
    ("page-of-another-origin", |ground| {
        ground.over_tcp("").contains("\"api\"")
    }),
];

pub(super) const GUEST: Ways = &[
    ("terminal-clipboard", |ground| {
        ground.console_says("\x1b]52;")
    }),
    ("terminal-clipboard-by-c1", |ground| {
        ground.console_says("\u{9d}52;")
    }),
    ("terminal-title", |ground| {
        ground.console_says("\x1b]0;hv-attack-title")
    }),
    ("terminal-answer", |ground| ground.console_says("\x1b[21t")),
    ("terminal-question", |ground| ground.console_says("\x1bP$q")),
    ("terminal-print", |ground| ground.console_says("\x1b[5i")),
    ("agent-without-end", |ground| {
        ground.agent_answers(&[b'x'; 1 << 20], 2_000)
    }),
    ("agent-nested", |ground| {
        ground.agent_answers(&b"{\"return\":".repeat(1 << 16), 20)
    }),
    ("agent-with-escapes", agent_with_escapes),
];

const ALL: &[Ways] = &[REQUESTS, IMAGES, PORT, FRAMES, FLOODS, WEB, ACCOUNTS, GUEST];

/// Whether something here shows that this attempt works.
pub(super) fn knows(name: &str) -> bool {
    ALL.iter()
        .copied()
        .flatten()
        .any(|(known, _)| *known == name)
}

/// Goes each of these ways.
pub(super) fn each_works(ways: Ways) {
    hv_attack::raise_limit();
    let ground = Ground {
        scene: Scene::on(PrivateHost::start_without_hook()),
    };
    let idle: Vec<_> = ways
        .iter()
        .filter(|(name, way)| {
            ground.lay_out();
            let begun = Instant::now();
            let works = way(&ground);
            eprintln!("{name}: {works} after {:?}", begun.elapsed());
            !works
        })
        .map(|(name, _)| *name)
        .collect();
    assert!(idle.is_empty(), "these prove nothing: {}", idle.join(", "));
}

/// A host without a hook, with a canary.
pub(super) struct Ground {
    scene: Scene,
}

impl Ground {
    fn host(&self) -> &PrivateHost {
        &self.scene.host
    }

    fn folder(&self) -> &Path {
        self.host().folder()
    }

    fn canary(&self) -> PathBuf {
        self.folder().join("canary")
    }

    fn cellar(&self) -> PathBuf {
        self.folder().join("cellar")
    }

    fn pool(&self) -> PathBuf {
        self.host().pools().join("hyper-disks")
    }

    fn lay_out(&self) {
        let _ = fs::remove_file(self.canary());
        let _ = fs::remove_dir_all(self.cellar());
        fs::create_dir(self.cellar()).unwrap();
        fs::set_permissions(self.cellar(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(self.canary(), b"hv-canary\n".repeat(200_000)).unwrap();
        fs::set_permissions(self.canary(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A small domain with these devices.
    fn domain(devices: &str) -> String {
        format!(
            "<domain type='qemu'><name>hv-attack-past</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
             <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{devices}</devices></domain>"
        )
    }

    fn disk_of_canary(&self) -> String {
        disk(&self.canary(), "raw")
    }

    /// What is smuggled in: a disk on the canary.
    fn payload(&self) -> String {
        format!("<devices>{}</devices>", self.disk_of_canary())
    }

    fn define(&self, xml: &str) {
        let file = self.folder().join("past.xml");
        fs::write(&file, xml).unwrap();
        self.host().virsh(&["define", &file.to_string_lossy()]);
    }

    /// Whether the canary is QEMU's once this domain runs.
    fn starts_and_reaches(&self, xml: &str) -> bool {
        self.define(xml);
        let name = xml
            .split("<name>")
            .nth(1)
            .and_then(|rest| rest.split('<').next())
            .unwrap();
        self.host().virsh(&["start", name]);
        let is_given = fs::metadata(self.canary()).unwrap().uid() != 0;
        self.host().virsh(&["destroy", name]);
        self.host().virsh(&["undefine", name]);
        is_given
    }

    /// Whether the canary is reached by this text, where it is put into XML as it is.
    fn injected(&self, place: &str, text: &str) -> bool {
        let put = |here: &str, otherwise: &str| {
            if here == place {
                text.to_owned()
            } else {
                otherwise.to_owned()
            }
        };
        let xml = format!(
            "<domain type='qemu'><name>{}</name>\
             <metadata><d xmlns='urn:x'>{}<![CDATA[{}]]></d></metadata>\
             <memory unit='MiB'>64</memory><vcpu>1</vcpu>\
             <os><type arch='x86_64' machine='{}'>hvm</type></os>\
             <cpu mode='custom'><model>qemu64</model><feature policy='optional' name='{}'/></cpu>\
             <devices><disk type='file' device='cdrom'><target dev='{}'/></disk></devices></domain>",
            put("name", "hv-attack-past"),
            put("description", ""),
            put("cdata", ""),
            put("machine", "q35"),
            put("feature", "ssse3"),
            put("disk", "sda"),
        );
        self.starts_and_reaches(&xml)
    }

    fn shell(&self, command: &str) -> bool {
        let status = Command::new("sh").args(["-c", command]).status();
        assert!(status.unwrap().success());
        self.cellar().join("made").exists()
    }

    fn overlay(&self, on: &str) -> PathBuf {
        let file = self.pool().join("hv-attack-past.qcow2");
        let path = file.to_string_lossy();
        qemu_img(&[
            "create", "-q", "-f", "qcow2", "-u", "-b", on, "-F", "raw", &path, "1M",
        ]);
        file
    }

    fn descriptor(&self, before: &str) -> PathBuf {
        let file = self.pool().join("hv-attack-past.vmdk");
        let text = format!(
            "{before}# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n\
             createType=\"monolithicFlat\"\nRW 2048 FLAT \"{}\" 0\n",
            self.canary().display()
        );
        fs::write(&file, text).unwrap();
        file
    }

    /// Whether the canary's bytes come out of an image that is looked at without saying its format.
    fn is_read_from(&self, image: &Path) -> bool {
        let out = self.folder().join("out.raw");
        qemu_img(&[
            "convert",
            "-O",
            "raw",
            &image.to_string_lossy(),
            &out.to_string_lossy(),
        ]);
        fs::read(out).unwrap().starts_with(b"hv-canary")
    }

    /// Whether a VM that root made is another one after this.
    fn foreign(&self, change: impl FnOnce(&Self, &str)) -> bool {
        self.define(&Self::domain(""));
        let id = self.host().virsh(&["domuuid", "hv-attack-past"]);
        let id = id.trim();
        let before = self.host().virsh(&["dumpxml", id]);
        change(self, id);
        let after = self.host().try_virsh(&["dumpxml", id]).ok();
        let _ = self.host().try_virsh(&["undefine", id]);
        after.as_ref() != Some(&before)
    }

    /// Whether libvirt defines a VM with this device.
    fn is_defined_with(&self, device: &str) -> bool {
        self.define(&Self::domain(device));
        let xml = self
            .host()
            .virsh(&["dumpxml", "--inactive", "hv-attack-past"]);
        self.host().virsh(&["undefine", "hv-attack-past"]);
        let element = device.split(' ').next().unwrap_or(device);
        xml.contains(element)
    }

    /// Carries an attempt out against a server at this socket.
    fn attempt(name: &str, socket: &Path) -> Option<Loot> {
        let attempt = hv_attack::all().find(|attempt| attempt.name == name)?;
        let arena = Arena {
            socket: socket.to_owned(),
            port: socket.to_owned(),
            address: Some("127.0.0.1:1".to_owned()),
            ..Arena::default()
        };
        (attempt.run)(&arena, &Facts::new()).ok()
    }

    /// Whether a server that trusts ends by an attempt, or answers nobody while it goes on.
    fn ends(&self, kind: Kind, name: &'static str) -> bool {
        let mut server = Trusting::start(kind, self.folder());
        let socket = server.socket().to_owned();
        thread::scope(|scope| {
            let attempt = scope.spawn(move || Self::attempt(name, &socket));
            let mut lost = false;
            while !attempt.is_finished() && !lost {
                lost = server.is_lost(PATIENCE);
                thread::sleep(Duration::from_millis(50));
            }
            lost || {
                let _ = attempt.join();
                server.is_lost(PATIENCE)
            }
        })
    }

    /// What hvd answers to root.
    fn asked(&self, method: &str, path: &str, headers: &str) -> String {
        let mut stream = UnixStream::connect(self.scene.product.socket()).unwrap();
        let ask = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
        );
        stream.write_all(ask.as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }

    /// What hvd answers at its address to whom it was meant for.
    fn over_tcp(&self, headers: &str) -> String {
        let ask = format!(
            "GET /v1/version HTTP/1.1\\r\\nHost: 127.0.0.1:8006\\r\\nConnection: close\\r\\n{headers}\\r\\n"
        );
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/8006; printf '{ask}' >&3; cat <&3");
        self.scene.run(&["bash", "-c", &script])
    }

    /// Makes a VM whose guest says this.
    fn talking_vm(&self, text: &[u8]) {
        let file = self.folder().join("talker.raw");
        fs::write(&file, hv_attack::talker(text, &[])).unwrap();
        let hv = |words: &[&str]| self.scene.product.hv(words).ok();
        hv(&[
            "image",
            "add",
            "talker",
            &file.to_string_lossy(),
            "--format",
            "raw",
        ]);
        hv(&[
            "vm", "create", "talker", "--image", "talker", "--memory", "64MiB", "--start",
        ]);
    }

    fn remove_vm(&self) {
        let hv = |words: &[&str]| self.scene.product.hv(words).ok();
        hv(&["vm", "delete", "talker", "--yes", "--force-off"]);
        hv(&["vm", "purge", "talker", "--yes"]);
        hv(&["image", "delete", "talker", "--yes"]);
    }

    /// Whether a terminal without a filter would be sent this by a guest.
    fn console_says(&self, sequence: &str) -> bool {
        self.talking_vm(format!("\r\n{}\r\n", hv_attack::ESCAPES).as_bytes());
        let mut stream = UnixStream::connect(self.scene.product.socket()).unwrap();
        stream
            .write_all(b"GET /v1/vms/talker/console HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: hv-console\r\n\r\n")
            .unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let (mut said, mut piece) = (Vec::new(), [0; 4096]);
        let end = Instant::now() + Duration::from_secs(20);
        let mut heard = false;
        while !heard && Instant::now() < end {
            let Ok(count @ 1..) = stream.read(&mut piece) else {
                break;
            };
            said.extend_from_slice(&piece[..count]);
            heard = String::from_utf8_lossy(&said).contains(sequence);
        }
        drop(stream);
        self.remove_vm();
        heard
    }

    /// Whether whoever trusts an agent's answer ends by this one.
    fn agent_answers(&self, piece: &[u8], times: usize) -> bool {
        let mut server = Trusting::start(Kind::Agent, self.folder());
        let mut stream = UnixStream::connect(server.socket()).unwrap();
        for _ in 0..times {
            if stream.write_all(piece).is_err() {
                break;
            }
        }
        drop(stream);
        hv_e2e::wait_for("the reader to end", || {
            server.is_lost(Duration::from_secs(1)).then_some(())
        });
        true
    }
}

fn disk(path: &Path, format: &str) -> String {
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='{format}'/>\
         <source file='{}'/><target dev='vda' bus='virtio'/></disk>",
        path.display()
    )
}

fn qemu_img(arguments: &[&str]) {
    let status = Command::new("qemu-img").args(arguments).status();
    assert!(status.unwrap().success(), "{arguments:?}");
}

/// Who asks again under their own key gets what they got before.
fn key_again(ground: &Ground) -> bool {
    ground.talking_vm(b"x\r\n");
    let key = "Idempotency-Key: hv-attack\r\n";
    ground.asked("POST", "/v1/vms/talker/pause?wait=30s", key);
    let again = ground.asked("POST", "/v1/vms/talker/pause?wait=30s", key);
    ground.remove_vm();
    again.contains("\"succeeded\"") && again.contains("talker")
}

/// Root, who need not prove who they are, gives the same grant.
fn grant(ground: &Ground) -> bool {
    let product = &ground.scene.product;
    product
        .hv(&[
            "access",
            "grant",
            "admin",
            "user:hv-attack-operator",
            "--name",
            "hv-attack-mine",
        ])
        .ok();
    let seen = product.json(&["access", "list"]);
    product.hv(&["access", "revoke", "hv-attack-mine"]).ok();
    seen.to_string().contains("hv-attack-mine")
}

/// The filter's text, in a query that is put together from texts.
fn sql(ground: &Ground) -> bool {
    ground.talking_vm(b"x\r\n");
    let state = ground.scene.product.folder().join("state");
    let database = fs::read_dir(state).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        path.extension()
            .is_some_and(|end| end == "db")
            .then_some(path)
    });
    let sql = rusqlite::Connection::open(database.unwrap()).unwrap();
    let query = format!(
        "SELECT count(*) FROM operation WHERE target_name = '{}'",
        "x' OR '1'='1"
    );
    let found: i64 = sql.query_row(&query, [], |row| row.get(0)).unwrap();
    drop(sql);
    ground.remove_vm();
    found > 0
}

/// Whoever opens the image asks the server that it names.
fn network_backing(ground: &Ground) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let file = ground.overlay(&format!("nbd:127.0.0.1:{}", address.port()));
    let mut opening = Command::new("qemu-img")
        .args(["convert", "-O", "raw"])
        .args([&file, &ground.folder().join("out.raw")])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    listener.set_nonblocking(true).unwrap();
    hv_e2e::wait_for("a connection", || listener.accept().ok());
    let _ = opening.kill();
    let _ = opening.wait();
    true
}

/// Whoever opens the image reads the file that it names.
fn data_file(ground: &Ground) -> bool {
    let file = ground.pool().join("hv-attack-past.qcow2");
    let option = format!("data_file={},data_file_raw=on", ground.canary().display());
    qemu_img(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        &option,
        &file.to_string_lossy(),
        "1M",
    ]);
    // Making the image has emptied it.
    ground.lay_out();
    ground.is_read_from(&file)
}

/// virsh shows what the guest says as it is.
fn agent_with_escapes(ground: &Ground) -> bool {
    let host = ground.host();
    ground.scene.product.add_demo_image("demo");
    let product = &ground.scene.product;
    product
        .hv(&[
            "vm", "create", "demo", "--image", "demo", "--memory", "256MiB", "--start",
        ])
        .ok();
    product.wait_for_agent("demo");
    let command = json!({"execute": "guest-exec", "arguments": {
        "path": "/bin/sh", "arg": ["-c", "hostname \"$(printf '\\033]52;c;eA==\\007')\""],
    }});
    let said = host.try_virsh(&["qemu-agent-command", "demo", &command.to_string()]);
    let shown = said.is_ok()
        && hv_e2e::wait_for("the guest to take its name", || {
            let shown = host.try_virsh(&["guestinfo", "demo", "--hostname"]).ok()?;
            shown.contains("\x1b]52;c;").then_some(true)
        });
    product
        .hv(&["vm", "delete", "demo", "--yes", "--force-off"])
        .ok();
    product.hv(&["vm", "purge", "demo", "--yes"]).ok();
    shown
}
