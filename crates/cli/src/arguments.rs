// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line as a whole: what every command knows, and the commands by noun.

use std::path::PathBuf;

use clap::{
    Args, CommandFactory, Parser, Subcommand, ValueHint,
    builder::{PossibleValuesParser, TypedValueParser},
};
use hv_model::{access::Action, id::ApprovalId, name::HostName};

use crate::command::{
    access::AccessCommand, approve::ApproveCommand, attack::AttackArguments, audit::AuditCommand,
    completions::Completions, explain::Explain, host::HostCommand, image::ImageCommand,
    login::LogIn, network::NetworkCommand, operation::OperationCommand, schema::SchemaCommand,
    vm::VmCommand,
};

/// Where hvd's socket is, if nothing else is said.
pub(crate) const SOCKET: &str = "/run/hyper-nixos/hvd.sock";

/// Run virtual machines on this host.
///
/// Without a command it says what needs attention now, and what to do about it.
#[derive(Debug, Parser)]
#[command(
    name = "hv",
    version,
    propagate_version = false,
    after_help = examples!(
        "hv" => "what needs attention now",
        "hv vm list" => "the VMs of this host",
    )
)]
pub(crate) struct Arguments {
    /// What every command knows.
    #[command(flatten)]
    pub global: Global,
    /// What to do; without it, say what needs attention.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What every command knows.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// hvd's socket; else the environment's `HV_SOCKET`, else /run/hyper-nixos/hvd.sock.
    // Were clap told of the environment, it would show --socket in the usage of every mistake.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        value_hint = ValueHint::FilePath,
        help_heading = "Everywhere"
    )]
    pub socket: Option<PathBuf>,
    /// A host that you have logged in to, in place of this one.
    #[arg(
        long,
        global = true,
        env = "HV_HOST",
        hide_env_values = true,
        value_name = "NAME",
        help_heading = "Everywhere"
    )]
    pub host: Option<HostName>,
    /// Do what a second person approved: the request's id.
    #[arg(long, global = true, value_name = "ID", help_heading = "Everywhere")]
    pub approval: Option<ApprovalId>,
    /// Print the API's JSON.
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// No colours, even on a terminal; the environment's `NO_COLOR` does the same.
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub no_color: bool,
}

/// hvd's socket, where the command line names none.
pub(crate) fn usual_socket() -> PathBuf {
    std::env::var_os("HV_SOCKET")
        .filter(|path| !path.is_empty())
        .map_or_else(|| SOCKET.into(), PathBuf::from)
}

/// Reads what can be asked for by its name, such as `vm.start`.
pub(crate) fn action() -> impl TypedValueParser<Value = Action> {
    one_of(Action::ALL, Action::as_str)
}

/// Reads one of these by its name.
pub(crate) fn one_of<T: Copy + Send + Sync>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let names = all.iter().map(move |one| name(*one));
    PossibleValuesParser::new(names).try_map(move |text| {
        let mut known = all.iter().copied();
        known.find(|one| name(*one) == text).ok_or("no such name")
    })
}

/// The commands by noun.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make, run, change and delete VMs.
    #[command(subcommand, after_help = examples!(
        "hv vm create web --image debian --memory 2GiB --start" => "make a VM, and start it",
        "hv vm list" => "the VMs of this host",
    ))]
    Vm(VmCommand),
    /// Look at operations: everything that changes something is one.
    #[command(subcommand, visible_alias = "operation", after_help = examples!(
        "hv op list" => "what is going on, and what was",
        "hv op watch 3a5c21f0" => "follow one to its end",
    ))]
    Op(OperationCommand),
    /// Manage images: read-only disks to clone from.
    #[command(subcommand, after_help = examples!(
        "hv image add debian debian-13.qcow2" => "add a file to the library",
        "hv image list" => "what VMs can be made from",
    ))]
    Image(ImageCommand),
    /// Look at networks.
    #[command(subcommand, after_help = examples!(
        "hv network list" => "the networks that a VM can be plugged into",
        "hv network list --json" => "the same for a program",
    ))]
    Network(NetworkCommand),
    /// Look at the host.
    #[command(subcommand, after_help = examples!(
        "hv host show" => "what it is and can do",
        "hv host show --json" => "the same for a program",
    ))]
    Host(HostCommand),
    /// Say who may do what, and learn why.
    #[command(subcommand, after_help = examples!(
        "hv access list" => "who has which role, and where",
        "hv access explain ada vm.start web" => "why ada may start web, or may not",
    ))]
    Access(AccessCommand),
    /// Decide, as a second person, on what others ask for.
    #[command(subcommand, after_help = examples!(
        "hv approve list" => "what waits for a decision",
        "hv approve give 0197f2a4-5c1e-7d3b-9a86-0c2f51d7e3aa" => "approve one of them",
    ))]
    Approve(ApproveCommand),
    /// Log in to another host. Your password is asked for.
    #[command(after_help = examples!(
        "hv login https://host.example.org:8443" => "then: hv --host host.example.org vm list",
        "hv login https://192.0.2.7:8443 --name lab --user ada" => "then: hv --host lab vm list",
    ))]
    Login(LogIn),
    /// End the session with another host.
    #[command(after_help = examples!(
        "hv logout" => "if there is just one",
        "hv --host lab logout" => "the one with that host",
    ))]
    Logout,
    /// Say who the daemon takes you for.
    #[command(after_help = examples!(
        "hv whoami" => "on this host",
        "hv --host lab whoami" => "on another one",
    ))]
    Whoami,
    /// Look at who did what, and verify that nothing of it was changed.
    #[command(subcommand, after_help = examples!(
        "hv audit list" => "the newest entries",
        "hv audit verify" => "whether the log is whole",
    ))]
    Audit(AuditCommand),
    /// Try to break out of what each may do, on this host, and say whether it was stopped.
    #[command(after_help = examples!(
        "hv attack" => "everything, by everybody",
        "hv attack --as operator" => "what an operator may try",
        "hv attack list" => "what is tried, by whom, and which layer must stop it",
    ))]
    Attack(AttackArguments),
    /// Print the format of spec files.
    #[command(subcommand, after_help = examples!(
        "hv schema vm" => "the JSON Schema of a VM's spec",
        "hv schema vm > vm.schema.json" => "a file that an editor can check against",
    ))]
    Schema(SchemaCommand),
    /// Explain a kind of problem: what it is, why it happens, how to go on.
    #[command(after_help = examples!(
        "hv explain guest-not-answering" => "one problem",
        "hv explain --list" => "all there are",
    ))]
    Explain(Explain),
    /// Print the script that completes commands and names in a shell.
    #[command(after_help = examples!(
        "source <(hv completions bash)" => "for this shell; put it into ~/.bashrc to keep it",
        "hv completions fish > ~/.config/fish/completions/hv.fish" => "for fish, for good",
    ))]
    Completions(Completions),
}

/// The command line's definition.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Examples as they stand under a command's help.
macro_rules! examples {
    ($($command:literal => $what:literal),+ $(,)?) => {
        concat!("Examples:", $("\n  ", $command, "\n      ", $what),+)
    };
}
pub(crate) use examples;
