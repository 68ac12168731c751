// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv vm console`.

use std::io::{self, IsTerminal, Write};

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use hv_client::Console;
use hv_model::hypervisor::Takeover;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::{
    complete,
    console::{EscapeKey, Filter, Keys, RawTerminal, keyboard},
    failure::Failure,
    output::{Paint, shown},
    session::Session,
};

/// How much is read of the console at once.
const PIECE: usize = 16 * 1024;

/// Whose console to open, and how.
#[derive(Debug, Args)]
pub(crate) struct Open {
    /// Which VM's.
    #[arg(value_name = "VM", add = ArgValueCompleter::new(complete::active_vms))]
    vm: String,
    /// Take it over from somebody who uses it.
    #[arg(long)]
    force: bool,
    /// The key that leaves it.
    #[arg(long, value_name = "KEY", default_value = "^]")]
    escape: EscapeKey,
    /// Pass everything that the VM sends to this terminal, also what could harm it: the clipboard,
    /// the title, questions that the terminal answers by itself.
    #[arg(long)]
    raw: bool,
}

/// How the console was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By the escape key.
    Left,
    /// By the VM, which went off, or by somebody who took it over.
    Closed,
    /// By a signal.
    Signalled,
}

/// Opens a console and passes bytes both ways until it is left.
pub(super) async fn run(session: &Session, open: Open) -> Result<(), Failure> {
    let takeover = if open.force {
        Takeover::Force
    } else {
        Takeover::Refuse
    };
    let console = session.client.console(&open.vm, takeover).await;
    let console = console.map_err(|error| Failure::from(error).about(&open.vm))?;
    let name = shown(&open.vm).into_owned();
    let has_keyboard = io::stdin().is_terminal();
    let key = has_keyboard.then_some(open.escape);
    let mut filter = (!open.raw).then(Filter::default);
    let end = {
        let _raw = RawTerminal::enter().map_err(Failure::local("cannot prepare the terminal"))?;
        if has_keyboard {
            let key = open.escape.to_string();
            let key = session.error_look.paint(Paint::Heading, &key);
            // A raw terminal goes to the line's start only when it is told.
            session.note(&format!(
                "This is the console of {name}. {key} leaves it; Enter may wake it.\r\n"
            ));
        }
        let end = bridge(console, key, filter.as_mut()).await;
        if let Some(filter) = filter.filter(|_| io::stdout().is_terminal()) {
            session.print(&String::from_utf8_lossy(filter.leave()))?;
        }
        end
    };
    let end = end.map_err(Failure::local(format!("the console of {name} broke off")))?;
    match end {
        End::Left => session.note(&format!("You left the console of {name}.\n")),
        End::Closed if has_keyboard => {
            session.note(&format!(
                "The console of {name} was closed: it went off, or somebody took it over.\n"
            ));
        }
        End::Closed => {}
        End::Signalled => {
            return Err(Failure::BrokenOff(format!(
                "You left the console of {name}."
            )));
        }
    }
    Ok(())
}

async fn bridge(
    console: Console,
    key: Option<EscapeKey>,
    filter: Option<&mut Filter>,
) -> io::Result<End> {
    let (from_vm, to_vm) = tokio::io::split(console);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        end = show(from_vm, filter) => end,
        result = send(to_vm, keyboard()?, key) => result.map(|()| End::Left),
        _ = terminate.recv() => Ok(End::Signalled),
        _ = hang_up.recv() => Ok(End::Signalled),
        _ = quit.recv() => Ok(End::Signalled),
        _ = interrupt.recv() => Ok(End::Signalled),
    }
}

/// Shows what the VM sends, until it closes or nobody reads it any more.
async fn show(mut from_vm: ReadHalf<Console>, mut filter: Option<&mut Filter>) -> io::Result<End> {
    let mut piece = vec![0; PIECE];
    let mut tame = Vec::with_capacity(PIECE);
    loop {
        let length = from_vm.read(&mut piece).await?;
        if length == 0 {
            return Ok(End::Closed);
        }
        let sent = piece.get(..length).unwrap_or_default();
        let shown = match &mut filter {
            Some(filter) => {
                tame.clear();
                filter.push(sent, &mut tame);
                tame.as_slice()
            }
            None => sent,
        };
        let mut output = io::stdout().lock();
        match output.write_all(shown).and_then(|()| output.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(End::Closed),
            other => other?,
        }
    }
}

/// Sends what is typed, until the escape key. A standard input that ends leaves the console open,
/// so that what the VM says can still be read.
async fn send(
    mut to_vm: WriteHalf<Console>,
    mut typed: mpsc::Receiver<Vec<u8>>,
    key: Option<EscapeKey>,
) -> io::Result<()> {
    while let Some(typed) = typed.recv().await {
        let keys = key.map_or(Keys::ForVm(&typed), |key| key.read(&typed));
        let (Keys::ForVm(bytes) | Keys::Leave(bytes)) = keys;
        to_vm.write_all(bytes).await?;
        to_vm.flush().await?;
        if let Keys::Leave(_) = keys {
            return Ok(());
        }
    }
    std::future::pending().await
}
