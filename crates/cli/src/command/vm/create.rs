// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv vm create`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use hv_client::{ChangeOptions, ClientError};
use hv_model::{
    device::{Disk, Nic},
    inventory::{CreateVm, ThenStart},
    name::{ImageName, NetworkName, Tag, VmName},
    network::Network,
    problem::{Problem, ProblemKind},
    size::Size,
    vm::{Firmware, VmSpec},
};

use super::plan;
use crate::{
    complete,
    failure::Failure,
    follow::{self, Manner},
    session::Session,
    spec::SpecFile,
};

/// The network that a VM is plugged into if nothing is said, where the host has it.
const USUAL_NETWORK: &str = "default";

/// A VM to make.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What to call it; with --file, instead of the name in the file.
    #[arg(required_unless_present = "file")]
    name: Option<VmName>,
    /// Read what it is to be from this spec file (.yaml, .toml, .json); - is standard input.
    #[arg(long, short, value_name = "SPEC", value_hint = ValueHint::FilePath,
        conflicts_with_all = ["image", "size", "memory", "cpus", "networks", "tags", "uefi"])]
    file: Option<PathBuf>,
    /// Make its disk from this image.
    #[arg(long, value_name = "IMAGE", add = ArgValueCompleter::new(complete::images))]
    image: Option<ImageName>,
    /// How large its disk is; without an image the disk is blank.
    #[arg(long, value_name = "SIZE")]
    size: Option<Size>,
    /// How much memory it has.
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    memory: Size,
    /// How many CPUs it has.
    #[arg(long, value_name = "N", default_value_t = 1)]
    cpus: u32,
    /// Plug it into this network, or into none; if not given, into `default`, where the host has
    /// it. Can be given again for more interfaces.
    #[arg(long = "network", value_name = "NETWORK", add = ArgValueCompleter::new(complete::networks))]
    networks: Vec<NetworkName>,
    /// Give it this tag. Can be given again.
    #[arg(long = "tag", value_name = "TAG", add = ArgValueCompleter::new(complete::tags))]
    tags: Vec<Tag>,
    /// Boot by UEFI.
    #[arg(long)]
    uefi: bool,
    /// Start it once it is made.
    #[arg(long)]
    start: bool,
    /// Only say what would be made.
    #[arg(long)]
    dry_run: bool,
    /// How it is followed.
    #[command(flatten)]
    manner: Manner,
}

/// Makes a VM.
pub(super) async fn run(session: &Session, create: Create) -> Result<(), Failure> {
    let then = if create.start {
        ThenStart::Start
    } else {
        ThenStart::Nothing
    };
    let file = create.file.as_deref().map(SpecFile::read).transpose()?;
    let spec = match &file {
        Some(file) => renamed(file.spec().clone(), create.name.as_ref()),
        None => from_options(session, &create).await?,
    };
    let refused = |error: ClientError| {
        let failure = match (&file, Problem::from(error)) {
            (Some(file), problem) => file.place(problem),
            (None, problem) => problem.into(),
        };
        failure.about(spec.name.as_str())
    };
    let request = CreateVm {
        spec: spec.clone(),
        then,
    };
    if create.dry_run {
        let plan = session
            .client
            .plan_create_vm(&request)
            .await
            .map_err(refused)?;
        return session.answer(&plan, |plan| {
            let table = plan::table(&plan.changes, session.look);
            format!("{table}Nothing was made: this was a dry run.\n")
        });
    }
    let options = ChangeOptions::default();
    let operation = session
        .client
        .create_vm(&request, &options)
        .await
        .map_err(refused)?;
    follow::one(session, create.manner, operation).await
}

fn renamed(mut spec: VmSpec, name: Option<&VmName>) -> VmSpec {
    if let Some(name) = name {
        spec.name.clone_from(name);
    }
    spec
}

async fn from_options(session: &Session, create: &Create) -> Result<VmSpec, Failure> {
    let Some(name) = create.name.clone() else {
        return Err(Failure::usage(
            "the VM has no name",
            "Give it one: hv vm create NAME.",
        ));
    };
    let host_networks = if create.networks.is_empty() {
        session.client.networks().await?.items
    } else {
        Vec::new()
    };
    let spec = describe(name, create, &host_networks);
    let faults = spec.validate();
    if faults.is_empty() {
        return Ok(spec);
    }
    let what = format!("{} cannot be made like that", spec.name);
    Err(Problem::new(ProblemKind::InvalidSpec, what)
        .with_faults(faults)
        .into())
}

fn describe(name: VmName, create: &Create, host_networks: &[Network]) -> VmSpec {
    let mut spec = VmSpec::new(name);
    spec.memory.size = create.memory;
    spec.cpus.count = create.cpus;
    spec.tags = create.tags.iter().cloned().collect();
    if create.uefi {
        spec.firmware = Firmware::Uefi;
    }
    if create.image.is_some() || create.size.is_some() {
        spec.disks = vec![Disk {
            image: create.image.clone(),
            size: create.size,
            ..Disk::default()
        }];
    }
    let networks: Vec<NetworkName> = match create.networks.as_slice() {
        [] => host_networks
            .iter()
            .filter(|network| {
                network.name.as_str() == USUAL_NETWORK && network.allowed && network.active
            })
            .map(|network| network.name.clone())
            .collect(),
        given => given
            .iter()
            .filter(|network| network.as_str() != "none")
            .cloned()
            .collect(),
    };
    let plug = |network| Nic {
        network: Some(network),
        ..Nic::default()
    };
    spec.nics = networks.into_iter().map(plug).collect();
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{FromArgMatches, Parser};
    use hv_model::network::NetworkMode;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        create: Create,
    }

    fn spec(line: &str, host_networks: &[Network]) -> VmSpec {
        let matches = <Line as clap::CommandFactory>::command()
            .try_get_matches_from(format!("create {line}").split(' '))
            .unwrap();
        let create = Line::from_arg_matches(&matches).unwrap().create;
        describe(create.name.clone().unwrap(), &create, host_networks)
    }

    fn network(name: &str, active: bool) -> Network {
        Network {
            name: name.parse().unwrap(),
            mode: NetworkMode::Nat,
            active,
            autostart: true,
            bridge: None,
            subnets: Vec::new(),
            allowed: true,
        }
    }

    #[test]
    fn options_become_a_spec() {
        let line = "web --image debian --size 20GiB --memory 2GiB --cpus 4 --network lab --tag prod --uefi";
        let spec = spec(line, &[]);
        assert_eq!(spec.validate(), []);
        insta::assert_snapshot!(crate::spec::yaml::write(&spec).unwrap());
    }

    #[test]
    fn a_vm_is_plugged_into_the_usual_network_where_that_runs() {
        let plugged = |line: &str, host: &[Network]| -> Vec<String> {
            let nics = spec(line, host).nics;
            nics.into_iter()
                .filter_map(|nic| nic.network)
                .map(|name| name.to_string())
                .collect()
        };
        assert_eq!(
            plugged("web", &[network("lab", true), network("default", true)]),
            ["default"]
        );
        assert!(plugged("web", &[network("default", false)]).is_empty());
        assert!(plugged("web", &[]).is_empty());
        assert!(plugged("web --network none", &[network("default", true)]).is_empty());
        assert_eq!(plugged("web --network a --network b", &[]), ["a", "b"]);
    }
}
