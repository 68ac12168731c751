// SPDX-License-Identifier: GPL-3.0-or-later
//! The security audit: looks at the host that it runs on and says what it found.
//!
//! ```text
//!  files, procfs, a few programs ─┐
//!                                 ├─▶ System ──▶ each Check ──▶ Report ──▶ text, JSON, Markdown, HTML
//!  hvd, over its API ─────────────┘                               └──────▶ the view by controls
//! ```
//!
//! It runs as whoever calls it. Root sees everything; for others what they may not read is unknown,
//! and is said to be. It changes nothing.

mod check;
mod reference;
mod render;
mod system;

use hv_client::Client;
use hv_model::security::{Category, Report};
use jiff::Timestamp;

use self::system::{Hvd, Process, Programs, Root, System, process, product::Product};
pub(crate) use self::{
    reference::page as reference_page,
    render::{controls, html, markdown, text},
};

/// Looks at this host: at one category, or at all of them.
pub(crate) async fn audit(client: &Client, category: Option<Category>, now: Timestamp) -> Report {
    let root = Root::real();
    let listens = listens(&root);
    let hvd = Hvd::ask(client, listens.as_deref()).await;
    let looked_as = rustix::process::geteuid().as_raw();
    report(
        &System::look(root, Programs::Real, hvd, now),
        category,
        looked_as,
    )
}

/// Where hvd is told to listen on TCP.
fn listens(root: &Root) -> Option<String> {
    let processes: Vec<Process> = process::all(root).unwrap_or_default();
    let settings = Product::read(root, &processes).hvd.ok()?;
    settings.listen.map(|listen| listen.address)
}

fn report(system: &System, category: Option<Category>, looked_as: u32) -> Report {
    let wanted =
        check::all().filter(|check| category.is_none_or(|wanted| wanted == check.category));
    let names = |path: &str| system.root.word(path).ok().filter(|name| !name.is_empty());
    let host = names("/proc/sys/kernel/hostname").or_else(|| names("/etc/hostname"));
    let release = system.root.text("/etc/os-release").unwrap_or_default();
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    Report {
        host: host.unwrap_or_else(|| "this host".to_owned()),
        system: name
            .unwrap_or("an unknown system")
            .trim_matches('"')
            .to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        time: system.now,
        looked_as,
        findings: wanted.map(|check| check.run(system)).collect(),
    }
}
