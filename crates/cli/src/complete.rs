// SPDX-License-Identifier: GPL-3.0-or-later
//! Completion in a shell, with the names that there are now.
//!
//! The shell runs `hv` with `COMPLETE` set each time that the tab key is pressed. So an answer comes
//! at once or not at all: a daemon that does not run or does not answer leaves names out, silently.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

use clap_complete::{CompleteEnv, engine::CompletionCandidate};
use hv_client::{Client, ClientError, OperationFilter, Shelf, VmFilter};
use hv_model::{inventory::VmSummary, operation::Operation};

use crate::{
    arguments::{self, usual_socket},
    follow::title,
};

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_millis(400);
/// How many operations are offered.
const OPERATIONS: u32 = 30;

/// Answers a shell that asks for completions, and ends the process then.
pub(crate) fn answer_shell() {
    CompleteEnv::with_factory(arguments::command)
        .bin("hv")
        .completer("hv")
        .complete();
}

/// VMs in use.
pub(crate) fn vms(current: &OsStr) -> Vec<CompletionCandidate> {
    matching(current, vms_on(Shelf::InUse, |_| true))
}

/// VMs that are off, or can go on from what was saved.
pub(crate) fn startable_vms(current: &OsStr) -> Vec<CompletionCandidate> {
    matching(current, vms_on(Shelf::InUse, |vm| !vm.state.is_active()))
}

/// VMs that run, in whatever way.
pub(crate) fn active_vms(current: &OsStr) -> Vec<CompletionCandidate> {
    matching(current, vms_on(Shelf::InUse, |vm| vm.state.is_active()))
}

/// VMs in the trash.
pub(crate) fn trashed_vms(current: &OsStr) -> Vec<CompletionCandidate> {
    matching(current, vms_on(Shelf::Trash, |_| true))
}

/// VMs in use and in the trash.
pub(crate) fn any_vms(current: &OsStr) -> Vec<CompletionCandidate> {
    let names = vms_on(Shelf::InUse, |_| true)
        .into_iter()
        .chain(vms_on(Shelf::Trash, |_| true));
    matching(current, names)
}

/// Tags that VMs have.
pub(crate) fn tags(current: &OsStr) -> Vec<CompletionCandidate> {
    let found = ask(async |client| client.vms(&VmFilter::default()).await);
    let tags: std::collections::BTreeSet<String> = found
        .into_iter()
        .flat_map(|page| page.items)
        .flat_map(|vm| vm.tags)
        .map(String::from)
        .collect();
    matching(current, tags.into_iter().map(|tag| (tag, String::new())))
}

/// Images of the library.
pub(crate) fn images(current: &OsStr) -> Vec<CompletionCandidate> {
    let found = ask(async |client| client.images().await);
    let images = found.into_iter().flat_map(|page| page.items);
    matching(
        current,
        images.map(|image| (image.name.to_string(), image.virtual_size.rounded())),
    )
}

/// Networks, and the word for none.
pub(crate) fn networks(current: &OsStr) -> Vec<CompletionCandidate> {
    let found = ask(async |client| client.networks().await);
    let networks = found
        .into_iter()
        .flat_map(|page| page.items)
        .filter(|network| network.allowed);
    let names = networks.map(|network| (network.name.to_string(), network.subnets.join(", ")));
    matching(
        current,
        names.chain([("none".to_owned(), "no network".to_owned())]),
    )
}

/// The newest operations.
pub(crate) fn operations(current: &OsStr) -> Vec<CompletionCandidate> {
    newest(current, |_| true)
}

/// Those of the newest operations that are not over.
pub(crate) fn open_operations(current: &OsStr) -> Vec<CompletionCandidate> {
    newest(current, |operation| !operation.state.is_final())
}

fn newest(current: &OsStr, fits: impl Fn(&Operation) -> bool) -> Vec<CompletionCandidate> {
    let filter = OperationFilter {
        limit: Some(OPERATIONS),
        ..OperationFilter::default()
    };
    let found = ask(async |client| client.operations(&filter).await);
    let operations = found.into_iter().flat_map(|page| page.items);
    matching(
        current,
        operations.filter(fits).map(|operation| {
            let help = format!("{}, {}", title(&operation), operation.state.as_str());
            (crate::command::operation::short_id(operation.id), help)
        }),
    )
}

fn vms_on(shelf: Shelf, fits: impl Fn(&VmSummary) -> bool) -> Vec<(String, String)> {
    let filter = VmFilter {
        shelf,
        ..VmFilter::default()
    };
    let found = ask(async |client| client.vms(&filter).await);
    let fitting = found.into_iter().flat_map(|page| page.items).filter(fits);
    fitting
        .map(|vm| (vm.name, vm.state.as_str().to_owned()))
        .collect()
}

/// Those of the words, each with its help, that begin like what was typed.
///
/// A word with a character that no shell leaves alone is left out: it was made with another tool,
/// and must be typed with care.
pub(crate) fn matching(
    current: &OsStr,
    words: impl IntoIterator<Item = (String, String)>,
) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else {
        return Vec::new();
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    words
        .into_iter()
        .filter(|(word, _)| word.starts_with(current) && word.chars().all(plain))
        .map(|(word, help)| {
            let help = crate::output::shown(&help).into_owned();
            CompletionCandidate::new(word).help((!help.is_empty()).then(|| help.into()))
        })
        .collect()
}

/// Asks the daemon, for a moment.
fn ask<T>(question: impl AsyncFnOnce(&Client) -> Result<T, ClientError>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let client = Client::unix(socket(std::env::args_os()));
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, question(&client))
            .await
            .ok()
            .and_then(Result::ok)
    })
}

/// The socket that the command line under completion names, else the environment, else the usual.
fn socket(arguments: impl Iterator<Item = OsString>) -> PathBuf {
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        if argument == "--socket" {
            if let Some(path) = arguments.next().filter(|path| !path.is_empty()) {
                return path.into();
            }
        } else if let Some(path) = argument
            .to_str()
            .and_then(|text| text.strip_prefix("--socket="))
        {
            return path.into();
        }
    }
    usual_socket()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_the_one_that_is_being_typed() {
        let arguments = |words: &[&str]| {
            words
                .iter()
                .map(OsString::from)
                .collect::<Vec<_>>()
                .into_iter()
        };
        assert_eq!(
            socket(arguments(&["hv", "--", "hv", "--socket", "/x", "vm"])),
            PathBuf::from("/x")
        );
        assert_eq!(
            socket(arguments(&["hv", "--", "hv", "--socket=/y"])),
            PathBuf::from("/y")
        );
    }

    #[test]
    fn names_that_a_shell_would_read_are_not_offered() {
        let words =
            ["web", "web;reboot", "db", "we\x1bb"].map(|word| (word.to_owned(), String::new()));
        let offered = matching(OsStr::new("we"), words);
        let values: Vec<&OsStr> = offered.iter().map(CompletionCandidate::get_value).collect();
        assert_eq!(values, ["web"]);
    }
}
