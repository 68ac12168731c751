// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv vm delete`, `undelete` and `purge`: into the trash, out of it, and gone for good.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use hv_client::{ChangeOptions, VmAction};
use hv_model::{
    inventory::{DeleteVm, IfRunning, VmView},
    plan::Plan,
};

use super::plan;
use crate::{
    complete,
    failure::Failure,
    follow::{self, Manner},
    output::{Facts, Look, Paint, shown, text::joined},
    prompt::From,
    proof::with_proof,
    session::{Asking, Form, Session},
};

/// VMs to move to the trash.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Which ones.
    #[arg(required = true, value_name = "VM", add = ArgValueCompleter::new(complete::vms))]
    vms: Vec<String>,
    /// Force those off that still run.
    #[arg(long)]
    force_off: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
    /// How it is followed.
    #[command(flatten)]
    manner: Manner,
}

/// VMs to bring back.
#[derive(Debug, Args)]
pub(crate) struct Undelete {
    /// Which ones.
    #[arg(required = true, value_name = "VM", add = ArgValueCompleter::new(complete::trashed_vms))]
    vms: Vec<String>,
    /// How it is followed.
    #[command(flatten)]
    manner: Manner,
}

/// VMs to destroy.
#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// Which ones.
    #[arg(required = true, value_name = "VM", add = ArgValueCompleter::new(complete::trashed_vms))]
    vms: Vec<String>,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// How it is followed.
    #[command(flatten)]
    manner: Manner,
}

/// Moves VMs to the trash.
pub(super) async fn delete(session: &Session, delete: Delete) -> Result<(), Failure> {
    let running = if delete.force_off {
        IfRunning::ForceOff
    } else {
        IfRunning::Refuse
    };
    let how = DeleteVm { running };
    let asking = Asking::from(delete.yes);
    if delete.dry_run || asking == Asking::Ask {
        // What is refused anyway is refused before the question.
        let plans = plans(session, &delete.vms, &how).await?;
        if delete.dry_run {
            return dry_run(session, &plans);
        }
        let goes = what_goes(session, &delete.vms).await?;
        session.note(&goes);
        let question = format!("Move {} to the trash?", named(&delete.vms));
        session.confirm(asking, &question)?;
    }
    follow::each(session, delete.manner, &delete.vms, async |vm| {
        session
            .client
            .delete_vm(vm, &how, &ChangeOptions::default())
            .await
    })
    .await
}

/// Brings VMs back.
pub(super) async fn undelete(session: &Session, undelete: Undelete) -> Result<(), Failure> {
    follow::each(session, undelete.manner, &undelete.vms, async |vm| {
        session
            .client
            .act(vm, &VmAction::Undelete, &ChangeOptions::default())
            .await
    })
    .await
}

/// Destroys VMs in the trash.
pub(super) async fn purge(session: &Session, purge: Purge) -> Result<(), Failure> {
    let asking = Asking::from(purge.yes);
    if asking == Asking::Ask {
        let goes = what_goes(session, &purge.vms).await?;
        session.note(&goes);
        let question = format!("Destroy {} for good?", named(&purge.vms));
        session.confirm(asking, &question)?;
    }
    follow::each(session, purge.manner, &purge.vms, async |vm| {
        with_proof(session, From::Person, async |client| {
            client
                .act(vm, &VmAction::Purge, &ChangeOptions::default())
                .await
        })
        .await
    })
    .await
}

async fn plans(session: &Session, vms: &[String], how: &DeleteVm) -> Result<Vec<Plan>, Failure> {
    let mut plans = Vec::with_capacity(vms.len());
    for vm in vms {
        let plan = session.client.plan_delete_vm(vm, how).await;
        plans.push(plan.map_err(|error| Failure::from(error).about(vm))?);
    }
    Ok(plans)
}

fn dry_run(session: &Session, plans: &[Plan]) -> Result<(), Failure> {
    match (session.form, plans) {
        (Form::Json, [only]) => session.print_json(only),
        (Form::Json, _) => session.print_json(&hv_model::page::Page::whole(plans.to_vec())),
        (Form::Text, _) => {
            let tables = plans
                .iter()
                .map(|plan| plan::table(&plan.changes, session.look));
            let tables: String = tables.collect();
            session.print(&format!("{tables}Nothing was moved: this was a dry run.\n"))
        }
    }
}

async fn what_goes(session: &Session, vms: &[String]) -> Result<String, Failure> {
    let mut page = String::new();
    for vm in vms {
        let view = session
            .client
            .vm(vm)
            .await
            .map_err(|error| Failure::from(error).about(vm))?;
        page.push_str(&describe(&view, session.error_look));
    }
    Ok(page)
}

/// A VM and its disks, in a few lines.
fn describe(view: &VmView, look: Look) -> String {
    let mut facts = Facts::default();
    facts.add_painted(
        "  state",
        super::paint(view.summary.state),
        view.summary.state.as_str(),
    );
    let sizes = view
        .spec
        .iter()
        .flat_map(|spec| spec.disks.iter().map(|disk| disk.size));
    let mut sizes = sizes.chain(std::iter::repeat(None));
    for disk in &view.disks {
        let size = sizes
            .next()
            .flatten()
            .map(|size| format!(" {}", size.rounded()))
            .unwrap_or_default();
        facts.add("  disks", format!("{}{size} ({})", disk.name, disk.volume));
    }
    format!(
        "{}\n{}",
        look.paint(Paint::Heading, &shown(&view.summary.name)),
        facts.render(look)
    )
}

fn named(vms: &[String]) -> String {
    let names: Vec<String> = vms.iter().map(|name| shown(name).into_owned()).collect();
    joined(&names)
}
