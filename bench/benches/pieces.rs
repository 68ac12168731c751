// SPDX-License-Identifier: GPL-3.0-or-later
//! Single pieces of the code, measured on their own.
#![expect(clippy::expect_used, reason = "a measurement may panic")]

use std::{collections::BTreeSet, hint::black_box, sync::Arc, thread};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hv_model::{
    access::{Action, Decision, Grant, GrantSource, Origin, Principal, Role},
    audit::{AuditEvent, Decided, Digest, Draft, End, SignReason, Trust, verify},
    document::{self, Format},
    domain_xml::{RenderHost, render},
    host::Acceleration,
    hypervisor::{Definition, ForeignVm, Hypervisor, PlacedDisk},
    id::{AuditId, HostId, VmId},
    inventory::{Management, VmSummary},
    page::Page,
    plan::plan,
    storage::{VolumeFormat, VolumeRef},
    vm::{Arch, VmSpec, VmState},
};
use hv_port::{Client, Server, SocketOwner};
use hvd::{
    access::{Access, Assurance, GivenGrant, Resource, Sources, Subject, VmTraits},
    audit::HostKey,
    clock::Clock,
    sim::SimulatedHost,
};
use uuid::Uuid;

const VMS: u128 = 1000;
const SPEC: &str = "\
name: web
owner: ada
tags: [web, production]
description: The shop's front end
cpus: 4
memory: 4 GiB
firmware: uefi
disks:
  - image: debian-12
    size: 40 GiB
  - size: 200 GiB
    limits:
      iops: 2000
nics:
  - network: default
limits:
  cpu_percent: 300
autostart:
  priority: 50
";

criterion_group!(
    pieces,
    read_spec,
    plan_change,
    render_xml,
    authorize_one,
    list,
    audit,
    port
);
criterion_main!(pieces);

fn read_spec(criterion: &mut Criterion) {
    criterion.bench_function("read a spec", |bench| {
        bench.iter(|| document::read::<VmSpec>(black_box(SPEC), Format::Yaml));
    });
    let spec = spec();
    criterion.bench_function("validate a spec", |bench| {
        bench.iter(|| black_box(&spec).validate());
    });
}

fn plan_change(criterion: &mut Criterion) {
    let (before, mut after) = (spec(), spec());
    after.memory.size = "8 GiB".parse().expect("a size");
    after.tags.clear();
    criterion.bench_function("plan a change", |bench| {
        bench.iter(|| plan(black_box(&before), black_box(&after), VmState::Running));
    });
}

fn render_xml(criterion: &mut Criterion) {
    let (definition, host) = definition();
    render(&definition, &host).expect("the spec can be rendered");
    criterion.bench_function("render domain XML", |bench| {
        bench.iter(|| render(black_box(&definition), &host));
    });
}

fn authorize_one(criterion: &mut Criterion) {
    let name = "ada".parse().expect("a name");
    let user = Arc::new(Subject::new(Principal::User { name, uid: 1000 }));
    // As many as a company has, of which one reaches the VM.
    let grants = (0..100).map(|number| GivenGrant {
        grant: Grant {
            name: format!("g{number}").parse().expect("a name"),
            to: "user:ada".parse().expect("a grantee"),
            role: Role::Operator,
            on: format!("vm:vm-{number}").parse().expect("a place"),
            until: None,
        },
        source: GrantSource::Configuration,
    });
    let sources = Sources {
        grants: grants.collect(),
        ..Sources::default()
    };
    let access = Access::new(sources, Clock::system()).expect("the policies are fine");
    let traits = VmTraits::named("vm-50");
    let mut group = criterion.benchmark_group("authorize among 100 grants");
    let decide =
        |vm: &Resource<'_>| access.decide(black_box(&user), Assurance::None, Action::VmStart, vm);
    group.bench_function("for the first time", |bench| {
        bench.iter(|| decide(black_box(&Resource::no_vm(&traits))));
    });
    let known = Resource::Vm {
        id: Some(VmId::new(Uuid::from_u128(1))),
        traits: &traits,
    };
    group.bench_function("again", |bench| {
        bench.iter(|| decide(black_box(&known)));
    });
    group.finish();
}

fn list(criterion: &mut Criterion) {
    let page = Page::whole((0..VMS).map(summary).collect::<Vec<_>>());
    let text = serde_json::to_vec(&page).expect("JSON");
    let mut group = criterion.benchmark_group("the list of 1000 VMs");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("write", |bench| {
        bench.iter(|| serde_json::to_vec(black_box(&page)));
    });
    group.bench_function("read", |bench| {
        bench.iter(|| serde_json::from_slice::<Page<VmSummary>>(black_box(&text)));
    });
    group.finish();
}

fn audit(criterion: &mut Criterion) {
    let lines = audit_log();
    let size = lines.iter().map(String::len).sum::<usize>();
    let mut group = criterion.benchmark_group("an audit log of 100,000 entries");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(size as u64));
    group.bench_function("verify", |bench| {
        bench.iter(|| verify(black_box(&lines), Trust::default(), End::Signed).expect("it fits"));
    });
    group.finish();
}

/// A log that was signed each day.
fn audit_log() -> Vec<String> {
    const ENTRIES: u64 = 100_000;
    const A_DAY: u64 = 1_000;
    let key = HostKey::of_seed(&[7; 32]);
    let mut previous = Digest::NONE;
    let event = |sequence| match sequence {
        1 => AuditEvent::Began {
            host: HostId::new(Uuid::from_u128(1)),
            carried: 0,
        },
        _ if sequence % A_DAY == 0 => AuditEvent::Signed {
            key: key.public(),
            reason: SignReason::Daily,
        },
        _ => AuditEvent::Decided(Decided {
            principal: Principal::User {
                name: "ada".parse().expect("a name"),
                uid: 1000,
            },
            from: Some(Origin::Unix {
                uid: 1000,
                pid: Some(4711),
            }),
            action: Action::VmStart,
            target: "vm/web".to_owned(),
            decision: Decision::Allow {
                policy: "socket-group".to_owned(),
            },
            operation: None,
        }),
    };
    let mut seal = |sequence: u64| {
        let draft = Draft {
            sequence,
            previous,
            id: AuditId::new(Uuid::from_u128(sequence.into())),
            time: "2026-01-01T00:00:00Z".parse().expect("a time"),
            event: event(sequence),
        };
        let line = match draft.event.signer() {
            Some(_) => draft.seal_signed(|bytes| key.sign(bytes)),
            None => draft.seal(),
        };
        let line = line.expect("an entry");
        previous = line.entry.hash;
        line.text
    };
    (1..=ENTRIES).map(&mut seal).collect()
}

fn port(criterion: &mut Criterion) {
    let host = SimulatedHost::new(1);
    for number in 0..VMS {
        let foreign = ForeignVm {
            definition: None,
            obstacles: Vec::new(),
        };
        host.define_elsewhere(vm(number), &format!("vm{number}"), foreign);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("port");
    let user = rustix::process::getuid().as_raw();
    let server =
        Server::bind(&socket, BTreeSet::from([user]), SocketOwner::default()).expect("a socket");
    let (stop, host) = (server.stopper(), Arc::new(host) as Arc<dyn Hypervisor>);
    let serving = thread::spawn(move || server.run(&host));
    let client = Client::new(&socket);
    criterion.bench_function("a call over the port", |bench| {
        bench.iter(|| client.pause(vm(VMS)));
    });
    criterion.bench_function("states of 1000 VMs over the port", |bench| {
        bench.iter(|| client.vms().expect("an answer"));
    });
    drop(client);
    stop.stop();
    serving.join().expect("it ends").expect("it ends well");
}

fn spec() -> VmSpec {
    let read = document::read::<VmSpec>(SPEC, Format::Yaml);
    read.expect("the spec is right").value
}

fn vm(number: u128) -> VmId {
    VmId::new(Uuid::from_u128(number))
}

fn definition() -> (Definition, RenderHost) {
    let spec = spec();
    let names = spec.disk_names();
    let disks = names.into_iter().map(|name| PlacedDisk {
        volume: VolumeRef {
            pool: "hyper-disks".parse().expect("a name"),
            name: format!("web-{name}.qcow2").parse().expect("a name"),
        },
        name,
        format: VolumeFormat::Qcow2,
    });
    let disks: Vec<_> = disks.collect();
    let path = |disk: &PlacedDisk| format!("/var/lib/libvirt/images/{}", disk.volume.name);
    let host = RenderHost {
        acceleration: Acceleration::Kvm,
        arch: Arch::X86_64,
        emulator: "/usr/bin/qemu-system-x86_64".to_owned(),
        disk_paths: disks.iter().map(path).collect(),
    };
    let id = vm(1);
    (
        Definition {
            id,
            generation: 1,
            spec,
            disks,
        },
        host,
    )
}

fn summary(number: u128) -> VmSummary {
    VmSummary {
        id: vm(number),
        name: format!("web{number:04}"),
        managed: Management::Managed,
        state: VmState::Off,
        reason: "shutdown".to_owned(),
        since: "2026-01-01T00:00:00Z".parse().expect("a time"),
        cpus: 2,
        memory: "2 GiB".parse().expect("a size"),
        owner: Some("ada".parse().expect("a name")),
        tags: BTreeSet::from(["web".parse().expect("a tag")]),
        agent: None,
        autostart: false,
        generation: 1,
        operation: None,
        purged_after: None,
    }
}
