// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv network`: the networks that VMs can be plugged into.

use clap::Subcommand;
use hv_model::network::{Network, NetworkMode};

use crate::{
    arguments::examples,
    failure::Failure,
    output::{Column, Look, Paint, Table, shown, table::Cell},
    session::Session,
};

/// What to do with networks.
#[derive(Debug, Subcommand)]
pub(crate) enum NetworkCommand {
    /// List the networks of this host.
    #[command(visible_alias = "ls", after_help = examples!(
        "hv network list" => "each with its state, and whether VMs may use it",
        "hv network list --json" => "the same for a program",
    ))]
    List,
}

/// Runs a command about networks.
pub(crate) async fn run(session: &Session, command: NetworkCommand) -> Result<(), Failure> {
    match command {
        NetworkCommand::List => {
            let networks = session.client.networks().await?;
            session.warn_if_stale();
            session.answer(&networks, |networks| table(&networks.items, session.look))
        }
    }
}

fn table(networks: &[Network], look: Look) -> String {
    let mut table = Table::new([
        Column::shrinking("NAME"),
        Column::text("MODE"),
        Column::text("STATE"),
        Column::text("AUTOSTART"),
        Column::text("BRIDGE"),
        Column::text("SUBNETS"),
        Column::text("ALLOWED"),
    ]);
    for network in networks {
        let state = if network.active {
            Cell::painted(Paint::Good, "active")
        } else {
            Cell::painted(Paint::Warning, "inactive")
        };
        let subnets: Vec<_> = network.subnets.iter().map(|subnet| shown(subnet)).collect();
        table.row([
            network.name.as_str().into(),
            mode(network.mode).into(),
            state,
            yes_no(network.autostart).into(),
            network
                .bridge
                .as_ref()
                .map_or("", |bridge| bridge.as_str())
                .into(),
            subnets.join(", ").into(),
            yes_no(network.allowed).into(),
        ]);
    }
    if table.is_empty() {
        "This host has no networks.\n".into()
    } else {
        table.render(look)
    }
}

const fn mode(mode: NetworkMode) -> &'static str {
    match mode {
        NetworkMode::Nat => "nat",
        NetworkMode::Routed => "routed",
        NetworkMode::Bridge => "bridge",
        NetworkMode::Isolated => "isolated",
        NetworkMode::Other => "other",
    }
}

const fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_a_table() {
        let network = |name: &str, active, allowed| Network {
            name: name.parse().unwrap(),
            mode: NetworkMode::Nat,
            active,
            autostart: active,
            bridge: Some("virbr0".parse().unwrap()),
            subnets: vec!["192.168.122.0/24".into()],
            allowed,
        };
        let networks = [network("default", true, true), network("lab", false, false)];
        insta::assert_snapshot!(table(&networks, Look::plain()));
    }
}
