// SPDX-License-Identifier: GPL-3.0-or-later
//! Following operations to their end, with progress for those who watch.
//!
//! Ctrl-C stops the following, never the operation: it goes on in the daemon, and what is printed
//! says how to watch or cancel it.

pub(crate) mod outcome;
pub(crate) mod progress;
pub(crate) mod teach;

use std::{sync::Arc, time::Duration};

use clap::Args;
use hv_client::{Client, ClientError};
use hv_model::{
    operation::{Operation, OperationState},
    page::Page,
    problem::Problem,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Semaphore, mpsc},
    time::{MissedTickBehavior, interval},
};

use self::progress::Line;
use crate::{
    failure::{Failure, Left},
    output::{shown, text::quoted},
    session::{Form, Session},
};

/// How often the progress line is drawn anew.
const FRAME: Duration = Duration::from_millis(120);
/// How many operations are followed at once, each by a connection of its own.
const AT_ONCE: usize = 32;

/// How a change is followed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Manner {
    /// Tell what happens and why, and which plain commands do the same on any Linux with libvirt.
    #[arg(long, help_heading = "Following")]
    pub explain: bool,
    /// Do not wait for the end: print which operation it is, and return.
    #[arg(long, help_heading = "Following")]
    pub no_wait: bool,
}

/// Asks for the same of each of several VMs or images, follows it all, and prints what it came to.
pub(crate) async fn each<E: Into<Failure>>(
    session: &Session,
    manner: Manner,
    names: &[String],
    submit: impl AsyncFn(&str) -> Result<Operation, E>,
) -> Result<(), Failure> {
    let mut operations: Vec<Operation> = Vec::new();
    let mut failures = Vec::new();
    for name in names {
        match submit(name).await {
            Ok(operation) if operations.iter().all(|other| other.id != operation.id) => {
                operations.push(operation);
            }
            Ok(_) => {}
            Err(error) => failures.push(error.into().about(name)),
        }
    }
    if !manner.no_wait {
        operations = to_end(session, operations, manner).await?;
    }
    print_all(session, manner, names, &operations)?;
    failures.extend(
        operations
            .into_iter()
            .filter(|operation| {
                operation.state.is_final() && operation.state != OperationState::Succeeded
            })
            .map(|operation| Failure::Operation(Box::new(operation))),
    );
    match failures.len() {
        0 => Ok(()),
        1 => failures.pop().map_or(Ok(()), Err),
        _ => Err(Failure::Several(failures)),
    }
}

/// Follows one operation that was asked for, and prints what it came to.
pub(crate) async fn one(
    session: &Session,
    manner: Manner,
    operation: Operation,
) -> Result<(), Failure> {
    let operation = if manner.no_wait {
        operation
    } else {
        let ended = to_end(session, vec![operation], manner).await?.pop();
        ended.ok_or(Failure::OutputClosed)?
    };
    print_all(session, manner, &[], std::slice::from_ref(&operation))?;
    if operation.state.is_final() && operation.state != OperationState::Succeeded {
        return Err(Failure::Operation(Box::new(operation)));
    }
    Ok(())
}

fn print_all(
    session: &Session,
    manner: Manner,
    names: &[String],
    operations: &[Operation],
) -> Result<(), Failure> {
    match (session.form, operations) {
        (Form::Json, [operation]) if names.len() < 2 => session.print_json(operation),
        (Form::Json, []) if names.len() < 2 => Ok(()),
        (Form::Json, _) => session.print_json(&Page::whole(operations.to_vec())),
        // Those that were waited for are told as they end.
        (Form::Text, _) if manner.no_wait => operations
            .iter()
            .try_for_each(|operation| session.print(&outcome::queued(operation, session.look))),
        (Form::Text, _) => Ok(()),
    }
}

/// Follows operations to their end and tells of each as it ends.
async fn to_end(
    session: &Session,
    operations: Vec<Operation>,
    manner: Manner,
) -> Result<Vec<Operation>, Failure> {
    if session.form == Form::Text
        && manner.explain
        && let Some(first) = operations.first()
    {
        session.print(&teach::before(first.kind, session.look))?;
    }
    let mut board = Board::new(session, operations, manner);
    let mut interrupt = interrupts()?;
    let mut updates = board.follow_all(&session.client);
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !board.is_over() {
        tokio::select! {
            update = updates.recv() => match update {
                Some(Ok(operation)) => board.take(operation)?,
                Some(Err(error)) => {
                    board.line.clear();
                    return Err(out_of_sight(error, &board.operations));
                }
                None => break,
            },
            _ = frames.tick(), if board.line.is_shown() => board.draw(),
            _ = interrupt.recv() => {
                board.line.clear();
                return Err(board.left());
            }
        }
    }
    board.line.clear();
    Ok(board.operations)
}

/// Ctrl-C as something to wait for.
pub(crate) fn interrupts() -> Result<Signal, Failure> {
    signal(SignalKind::interrupt()).map_err(Failure::local("cannot watch for Ctrl-C"))
}

/// The operations that are followed, and the line that shows how they go.
struct Board<'a> {
    session: &'a Session,
    manner: Manner,
    operations: Vec<Operation>,
    line: Line,
}

impl<'a> Board<'a> {
    fn new(session: &'a Session, operations: Vec<Operation>, manner: Manner) -> Self {
        Self {
            session,
            manner,
            operations,
            line: Line::new(session),
        }
    }

    /// One task an operation, so many at a time, which all tell into one channel.
    fn follow_all(&self, client: &Client) -> mpsc::Receiver<Result<Operation, ClientError>> {
        let (sender, receiver) = mpsc::channel(64);
        let places = Arc::new(Semaphore::new(AT_ONCE));
        for operation in &self.operations {
            let mut updates = client.follow(operation.id);
            let (sender, places) = (sender.clone(), Arc::clone(&places));
            tokio::spawn(async move {
                let Ok(_place) = places.acquire().await else {
                    return;
                };
                while let Some(update) = updates.next().await.transpose() {
                    let failed = update.is_err();
                    if sender.send(update).await.is_err() || failed {
                        return;
                    }
                }
            });
        }
        receiver
    }

    fn is_over(&self) -> bool {
        self.operations
            .iter()
            .all(|operation| operation.state.is_final())
    }

    /// Notes how an operation goes, and tells of its end.
    fn take(&mut self, operation: Operation) -> Result<(), Failure> {
        let is_over = operation.state.is_final();
        if is_over && self.session.form == Form::Text {
            self.line.clear();
            let look = self.session.look;
            if operation.state == OperationState::Succeeded {
                self.session.print(&outcome::succeeded(&operation, look))?;
            }
            if self.manner.explain {
                self.session.print(&teach::after(&operation, look))?;
            }
        }
        if let Some(known) = self
            .operations
            .iter_mut()
            .find(|known| known.id == operation.id)
        {
            *known = operation;
        }
        Ok(())
    }

    fn draw(&mut self) {
        let open: Vec<&Operation> = open(&self.operations).collect();
        let text = match open.as_slice() {
            [] => return,
            [only] if self.operations.len() == 1 => self.line.of_operation(only),
            [first, ..] => format!(
                "{} of {} done · {}",
                self.operations.len() - open.len(),
                self.operations.len(),
                self.line.of_operation(first),
            ),
        };
        self.line.draw(&text);
    }

    fn left(&self) -> Failure {
        let open = open(&self.operations);
        let what =
            |operation: &Operation| format!("{} {}", operation.kind.words(), operation.target.name);
        Failure::Detached(
            open.map(|operation| Left {
                id: operation.id,
                what: what(operation),
            })
            .collect(),
        )
    }
}

/// hvd says no more of operations that go on in it, or will once it runs again.
fn out_of_sight(error: ClientError, operations: &[Operation]) -> Failure {
    let again = open(operations).map(|open| format!("hv op watch {}", open.id));
    let mut problem = Problem::from(error);
    problem.commands.extend(again);
    problem.into()
}

/// Those that are not over.
fn open(operations: &[Operation]) -> impl Iterator<Item = &Operation> {
    operations.iter().filter(|known| !known.state.is_final())
}

/// What an operation is called: `start web`.
pub(crate) fn title(operation: &Operation) -> String {
    format!(
        "{} {}",
        operation.kind.words(),
        quoted(&shown(&operation.target.name))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{command::operation::tests::operation, output::Look};

    #[test]
    fn what_goes_on_out_of_sight_can_be_watched_again() {
        let error = ClientError::Unreachable {
            socket: "/run/hvd.sock".into(),
            why: "Connection refused (os error 111)".into(),
        };
        let followed = [OperationState::Running, OperationState::Succeeded].map(operation);
        let failure = out_of_sight(error, &followed);
        assert_eq!(failure.exit_code(), 6);
        let told = failure.render(Look::plain());
        let again = "hv op watch 0198c1f0-1111-7222-8333-444455556666";
        assert_eq!(told.matches(again).count(), 1, "{told}");
    }
}
