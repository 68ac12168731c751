// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv vm`: make, run, change and delete VMs.

mod change;
mod console;
mod create;
mod events;
pub(crate) mod list;
mod plan;
mod power;
mod show;
mod trash;

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use hv_client::{ChangeOptions, VmAction};
use hv_model::{inventory::RenameVm, name::VmName, vm::VmState};

use crate::{
    arguments::examples,
    complete,
    failure::Failure,
    follow::{self, Manner},
    output::Paint,
    session::Session,
};

/// What to do with VMs.
#[derive(Debug, Subcommand)]
pub(crate) enum VmCommand {
    /// Make a VM.
    ///
    /// What it is to be is said by options, or by a spec file in YAML, TOML or JSON. Every fault
    /// of a spec is told at once, with its line.
    #[command(after_help = examples!(
        "hv vm create web --image debian --size 20GiB --memory 2GiB --start" => "from an image, and start it",
        "hv vm create --file web.yaml --dry-run" => "from a spec file; only say what would be made",
    ))]
    Create(create::Create),
    /// List VMs.
    #[command(visible_alias = "ls", after_help = examples!(
        "hv vm list" => "the VMs of this host",
        "hv vm list --state running --tag prod" => "those that run and have a tag",
    ))]
    List(list::List),
    /// Show everything about a VM.
    #[command(after_help = examples!(
        "hv vm show web" => "its state, its disks, what its guest says",
        "hv vm show web --spec > web.yaml" => "its spec as a file to change, or to make another from",
    ))]
    Show(show::Show),
    /// Start VMs; saved ones go on where they were.
    #[command(after_help = examples!(
        "hv vm start web" => "one VM",
        "hv vm start web db --explain" => "two, and learn what happens",
    ))]
    Start(power::Start),
    /// Shut VMs down: ask their guests, and wait.
    #[command(after_help = examples!(
        "hv vm stop web" => "ask the guest, and wait up to 90 seconds",
        "hv vm stop web db --timeout 5m" => "two, with more patience",
    ))]
    Stop(power::Ask),
    /// Force VMs off, as if their power were cut.
    #[command(after_help = examples!(
        "hv vm kill web" => "asks before: what the guest has not written is lost",
        "hv vm kill web --yes" => "without asking",
    ))]
    Kill(power::Cut),
    /// Ask guests to reboot.
    #[command(after_help = examples!(
        "hv vm reboot web" => "ask the guest, and wait until it does",
        "hv vm reboot web --timeout 5m" => "with more patience",
    ))]
    Reboot(power::AskReboot),
    /// Reset VMs, as by their reset button.
    #[command(after_help = examples!(
        "hv vm reset web" => "asks before: what the guest has not written is lost",
        "hv vm reset web --yes" => "without asking",
    ))]
    Reset(power::Cut),
    /// Pause VMs: stop them in their tracks and keep their memory.
    #[command(after_help = examples!(
        "hv vm pause web" => "until: hv vm resume web",
        "hv vm pause web db" => "two at once",
    ))]
    Pause(power::Act),
    /// Let paused VMs go on.
    #[command(after_help = examples!(
        "hv vm resume web" => "from where it was paused",
        "hv vm resume web db" => "two at once",
    ))]
    Resume(power::Act),
    /// Save the memory of VMs to disk, and stop them.
    #[command(after_help = examples!(
        "hv vm save web" => "hv vm start web goes on where it was",
        "hv vm save web db --no-wait" => "without waiting until it is written",
    ))]
    Save(power::Act),
    /// Change a VM; says what is done at once and what waits for the next boot.
    #[command(override_usage = "hv vm set [OPTIONS] <VM>", after_help = examples!(
        "hv vm set web --cpus 4 --memory 4GiB" => "change its size; nothing is restarted",
        "hv vm set web --add-tag prod --autostart 50,30s --dry-run" => "only say what it would do",
    ))]
    Set(Box<change::Set>),
    /// Give a VM another name.
    #[command(after_help = examples!(
        "hv vm rename web www" => "the VM must be off",
        "hv vm rename web www --explain" => "and learn what stays",
    ))]
    Rename(Rename),
    /// Move VMs to the trash.
    #[command(visible_alias = "rm", after_help = examples!(
        "hv vm delete web" => "shows what goes, and asks; hv vm undelete web brings it back",
        "hv vm delete web --force-off --yes" => "even if it runs, without asking",
    ))]
    Delete(trash::Delete),
    /// Bring VMs back from the trash.
    #[command(after_help = examples!(
        "hv vm undelete web" => "it comes back as it was, and off",
        "hv vm list --trash" => "what can be brought back",
    ))]
    Undelete(trash::Undelete),
    /// Destroy VMs in the trash, for good.
    #[command(after_help = examples!(
        "hv vm purge web" => "asks before: its disks cannot be brought back",
        "hv vm purge web db --yes" => "two, without asking",
    ))]
    Purge(trash::Purge),
    /// Take over VMs that were made with another tool.
    #[command(after_help = examples!(
        "hv vm adopt legacy" => "from then on it can be changed here",
        "hv vm show legacy" => "what stands in the way of that",
    ))]
    Adopt(power::Act),
    /// Use a VM's serial console.
    #[command(after_help = examples!(
        "hv vm console web" => "Ctrl-] leaves it",
        "hv vm console web --escape ^A" => "another key leaves it",
    ))]
    Console(console::Open),
    /// Show what happened, and what happens.
    #[command(after_help = examples!(
        "hv vm events web --since 2d" => "what happened to a VM in two days",
        "hv vm events --follow" => "what happens from now on, to everything",
    ))]
    Events(events::Show),
}

/// A VM and its new name.
#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// Which VM.
    #[arg(value_name = "VM", add = ArgValueCompleter::new(complete::vms))]
    vm: String,
    /// What to call it.
    #[arg(value_name = "NEW-NAME")]
    name: VmName,
    /// How it is followed.
    #[command(flatten)]
    manner: Manner,
}

/// Runs a command about VMs.
pub(crate) async fn run(session: &Session, command: VmCommand) -> Result<(), Failure> {
    match command {
        VmCommand::Create(create) => create::run(session, create).await,
        VmCommand::List(list) => list::run(session, list).await,
        VmCommand::Show(show) => show::run(session, show).await,
        VmCommand::Start(start) => power::start(session, start).await,
        VmCommand::Stop(ask) => power::shut_down(session, ask).await,
        VmCommand::Kill(cut) => power::cut(session, cut, power::Button::Power).await,
        VmCommand::Reboot(ask) => power::reboot(session, ask).await,
        VmCommand::Reset(cut) => power::cut(session, cut, power::Button::Reset).await,
        VmCommand::Pause(act) => power::act(session, act, VmAction::Pause).await,
        VmCommand::Resume(act) => power::act(session, act, VmAction::Resume).await,
        VmCommand::Save(act) => power::act(session, act, VmAction::Save).await,
        VmCommand::Set(set) => change::run(session, *set).await,
        VmCommand::Rename(rename) => self::rename(session, rename).await,
        VmCommand::Delete(delete) => trash::delete(session, delete).await,
        VmCommand::Undelete(undelete) => trash::undelete(session, undelete).await,
        VmCommand::Purge(purge) => trash::purge(session, purge).await,
        VmCommand::Adopt(act) => power::act(session, act, VmAction::Adopt).await,
        VmCommand::Console(open) => console::run(session, open).await,
        VmCommand::Events(show) => events::run(session, show).await,
    }
}

async fn rename(session: &Session, rename: Rename) -> Result<(), Failure> {
    let action = VmAction::Rename(RenameVm { name: rename.name });
    follow::each(session, rename.manner, &[rename.vm], async |vm| {
        session
            .client
            .act(vm, &action, &ChangeOptions::default())
            .await
    })
    .await
}

/// How a state looks.
pub(crate) const fn paint(state: VmState) -> Paint {
    match state {
        VmState::Running => Paint::Good,
        VmState::Crashed => Paint::Bad,
        VmState::Paused | VmState::ShuttingDown | VmState::Unknown => Paint::Warning,
        VmState::Off | VmState::Trashed => Paint::Faint,
        VmState::Sleeping | VmState::Saved => Paint::Plain,
    }
}
