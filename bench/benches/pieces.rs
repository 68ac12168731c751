// SPDX-License-Identifier: GPL-3.0-or-later
//! Single pieces of the code, measured on their own.
#![expect(clippy::expect_used, reason = "a measurement may panic")]

use std::{collections::BTreeSet, hint::black_box};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hv_model::{
    document::{self, Format},
    domain_xml::{RenderHost, render},
    host::Acceleration,
    hypervisor::{Definition, PlacedDisk},
    id::VmId,
    inventory::{Management, VmSummary},
    page::Page,
    storage::{VolumeFormat, VolumeRef},
    vm::{Arch, VmSpec, VmState},
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

criterion_group!(pieces, read_spec, render_xml, list);
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

fn render_xml(criterion: &mut Criterion) {
    let (definition, host) = definition();
    render(&definition, &host).expect("the spec can be rendered");
    criterion.bench_function("render domain XML", |bench| {
        bench.iter(|| render(black_box(&definition), &host));
    });
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
