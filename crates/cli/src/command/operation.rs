// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv op`: operations, which everything is that changes something.

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use clap_complete::engine::ArgValueCompleter;
use hv_client::{ChangeOptions, OperationFilter};
use hv_model::{
    id::OperationId,
    operation::{Operation, OperationState, StepState},
    problem::{Problem, ProblemKind},
};
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    arguments::examples,
    complete,
    failure::Failure,
    follow::{self, Manner, outcome, title},
    output::{
        Column, Facts, Look, Paint, Table, moment,
        problem::{self, About},
        shown,
        table::Cell,
    },
    session::{Form, Session},
};

/// How many characters of an id are shown: its random end.
const SHORT: usize = 12;
/// How many characters of an id must be typed.
const SHORTEST: usize = 4;
const STATES: [&str; 6] = [
    "queued",
    "running",
    "succeeded",
    "failed",
    "cancelled",
    "interrupted",
];

/// What to do with operations.
#[derive(Debug, Subcommand)]
pub(crate) enum OperationCommand {
    /// List operations, the newest first.
    #[command(visible_alias = "ls", after_help = examples!(
        "hv op list" => "what is going on, and what was",
        "hv op list --state failed --vm web" => "what failed on one VM",
    ))]
    List(List),
    /// Show an operation: its steps, and why it failed.
    #[command(after_help = examples!(
        "hv op show 8f2b6c1d90ab" => "by the id that hv op list shows",
        "hv op show 8f2b6c1d90ab --json" => "the same for a program",
    ))]
    Show(Which),
    /// Follow an operation to its end.
    #[command(after_help = examples!(
        "hv op watch 8f2b6c1d90ab" => "with its progress; Ctrl-C stops the following only",
        "hv op watch 8f2b6c1d90ab --json" => "wait, and print how it ended for a program",
    ))]
    Watch(Which),
    /// Stop an operation and undo what it has begun.
    #[command(after_help = examples!(
        "hv op cancel 8f2b6c1d90ab" => "by the id that hv op list shows",
        "hv op cancel 8f2b6c1d90ab --no-wait" => "without waiting until it is undone",
    ))]
    Cancel {
        /// Its id, or the end of it.
        #[arg(value_name = "ID", add = ArgValueCompleter::new(complete::open_operations))]
        id: String,
        /// How it is followed.
        #[command(flatten)]
        manner: Manner,
    },
}

/// Which operations to list.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those in this state.
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(STATES))]
    state: Option<String>,
    /// Only those on this VM.
    #[arg(long, value_name = "VM", add = ArgValueCompleter::new(complete::any_vms))]
    vm: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

/// An operation.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id, or the end of it.
    #[arg(value_name = "ID", add = ArgValueCompleter::new(complete::operations))]
    id: String,
}

/// Runs a command about operations.
pub(crate) async fn run(session: &Session, command: OperationCommand) -> Result<(), Failure> {
    match command {
        OperationCommand::List(list) => {
            let filter = OperationFilter {
                state: list.state.as_deref().and_then(state),
                vm: list.vm,
                limit: Some(list.limit),
                page: None,
            };
            let operations = session.client.operations(&filter).await?;
            session.answer(&operations, |page| {
                table(&page.items, session.now(), session.look)
            })
        }
        OperationCommand::Show(which) => {
            let operation = find(session, &which.id).await?;
            session.answer(&operation, |operation| {
                page(operation, &session.zone(), session.look)
            })
        }
        OperationCommand::Watch(which) => watch(session, &which.id).await,
        OperationCommand::Cancel { id, manner } => cancel(session, &id, manner).await,
    }
}

async fn watch(session: &Session, id: &str) -> Result<(), Failure> {
    let operation = find(session, id).await?;
    let was_over = operation.state.is_final();
    if was_over && operation.state == OperationState::Succeeded && session.form == Form::Text {
        return session.print(&outcome::succeeded(&operation, session.look));
    }
    let manner = Manner {
        explain: false,
        no_wait: was_over && session.form == Form::Json,
    };
    follow::one(session, manner, operation).await
}

async fn cancel(session: &Session, id: &str, manner: Manner) -> Result<(), Failure> {
    let operation = find(session, id).await?;
    let asked = session
        .client
        .cancel(operation.id, &ChangeOptions::default())
        .await?;
    if manner.no_wait {
        return session.answer(&asked, |asked| {
            format!("{} is being cancelled.\n", title(asked))
        });
    }
    match follow::one(session, manner, asked).await {
        // That it was cancelled is what was asked for.
        Err(Failure::Operation(operation)) if operation.state == OperationState::Cancelled => {
            session.say(&format!(
                "{} is cancelled, and what it had begun is undone.\n",
                title(&operation)
            ))
        }
        other => other,
    }
}

/// The operation with this id, or the only one whose id ends like this.
pub(crate) async fn find(session: &Session, text: &str) -> Result<Operation, Failure> {
    if let Ok(id) = text.parse::<OperationId>() {
        return Ok(session.client.operation(id, None).await?);
    }
    let end = text.to_ascii_lowercase();
    let is_end = end.len() >= SHORTEST && end.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if !is_end {
        let what = format!("{text:?} is not the id of an operation");
        return Err(Failure::usage(
            what,
            "Take an id from hv op list, or at least the last 4 characters of one.",
        ));
    }
    let filter = OperationFilter {
        limit: Some(1000),
        ..OperationFilter::default()
    };
    let recent = session.client.operations(&filter).await?.items;
    let mut fitting = recent
        .into_iter()
        .filter(|operation| operation.id.to_string().ends_with(&end));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => {
            let what = format!("several operations have an id that ends in {end}");
            Err(Failure::usage(
                what,
                "Give more of it; hv op list --json shows whole ids.",
            ))
        }
        (None, _) => {
            let problem = Problem::new(
                ProblemKind::NotFound,
                format!("no recent operation has an id that ends in {end}"),
            );
            Err(problem.with_try("hv op list").into())
        }
    }
}

fn state(text: &str) -> Option<OperationState> {
    use OperationState::{Cancelled, Failed, Interrupted, Queued, Running, Succeeded};
    [Queued, Running, Succeeded, Failed, Cancelled, Interrupted]
        .into_iter()
        .find(|state| state.as_str() == text)
}

/// The end of an id, which is random, so that it is enough to tell it from others.
pub(crate) fn short_id(id: OperationId) -> String {
    let id = id.to_string();
    id.get(id.len().saturating_sub(SHORT)..)
        .unwrap_or_default()
        .to_owned()
}

fn table(operations: &[Operation], now: Timestamp, look: Look) -> String {
    let mut table = Table::new([
        Column::text("ID"),
        Column::text("WHAT"),
        Column::shrinking("ON"),
        Column::text("STATE"),
        Column::text("BY"),
        Column::text("ASKED"),
        Column::text("TOOK"),
        Column::yielding("PROBLEM"),
    ]);
    for operation in operations {
        table.row([
            short_id(operation.id).into(),
            operation.kind.words().into(),
            shown(&operation.target.name).into(),
            Cell::painted(paint(operation.state), operation.state.as_str()),
            operation.actor.label().to_owned().into(),
            moment::ago(operation.created, now).into(),
            took(operation, now).unwrap_or_default().into(),
            operation
                .problem
                .as_ref()
                .map_or("", |problem| problem.kind.entry().slug)
                .into(),
        ]);
    }
    if table.is_empty() {
        "There are no operations.\n".into()
    } else {
        table.render(look)
    }
}

fn took(operation: &Operation, now: Timestamp) -> Option<String> {
    let end = operation.ended.unwrap_or(now);
    operation
        .started
        .map(|start| moment::precise(moment::between(start, end)))
}

fn page(operation: &Operation, zone: &TimeZone, look: Look) -> String {
    let mut facts = Facts::default();
    let target = &operation.target;
    facts.add("operation", operation.id.to_string());
    facts.add("what", title(operation));
    facts.add(
        "on",
        format!(
            "{} {} ({})",
            target.kind,
            shown(&target.name),
            shown(&target.id)
        ),
    );
    facts.add_painted("state", paint(operation.state), operation.state.as_str());
    facts.add("by", operation.actor.label());
    facts.add("asked", moment::on_clock(operation.created, zone));
    facts.add_known(
        "began",
        operation.started.map(|time| moment::on_clock(time, zone)),
    );
    facts.add_known(
        "ended",
        operation.ended.map(|time| moment::on_clock(time, zone)),
    );
    if let (Some(started), Some(ended)) = (operation.started, operation.ended) {
        facts.add("took", moment::precise(moment::between(started, ended)));
    }
    for step in &operation.steps {
        let (paint, state) = match step.state {
            StepState::Running => (Paint::Heading, "running"),
            StepState::Done => (Paint::Plain, "done"),
            StepState::Failed => (Paint::Bad, "failed"),
            StepState::Undone => (Paint::Warning, "undone"),
        };
        facts.add_painted("steps", paint, format!("{state:<8}{}", shown(&step.name)));
        if let Some(command) = &step.command {
            facts.add_painted("steps", Paint::Faint, format!("        {}", shown(command)));
        }
    }
    let mut page = facts.render(look);
    if let Some(problem) = &operation.problem {
        let about = About((target.kind == "vm").then_some(target.name.as_str()));
        page.push('\n');
        page.push_str(&problem::render(problem, about, look));
    }
    page
}

const fn paint(state: OperationState) -> Paint {
    match state {
        OperationState::Queued => Paint::Plain,
        OperationState::Running => Paint::Heading,
        OperationState::Succeeded => Paint::Good,
        OperationState::Cancelled => Paint::Warning,
        OperationState::Failed | OperationState::Interrupted => Paint::Bad,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use hv_model::{
        access::Principal,
        operation::{OperationKind, Step, Target},
    };

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + second).unwrap()
    }

    pub(crate) fn operation(state: OperationState) -> Operation {
        Operation {
            id: "0198c1f0-1111-7222-8333-444455556666".parse().unwrap(),
            kind: OperationKind::VmShutDown,
            target: Target {
                kind: "vm".into(),
                id: "0198c1f0-aaaa-7222-8333-444455556666".into(),
                name: "web".into(),
            },
            parameters: serde_json::json!({"timeout_seconds": 90}),
            actor: Principal::User {
                name: "alice".parse().unwrap(),
                uid: 1000,
            },
            idempotency_key: None,
            state,
            steps: vec![
                Step {
                    name: "ask the guest's agent to shut down".into(),
                    command: Some("virsh shutdown web --mode agent".into()),
                    state: StepState::Done,
                },
                Step {
                    name: "press the power button".into(),
                    command: None,
                    state: StepState::Failed,
                },
            ],
            progress: None,
            result: serde_json::Value::Null,
            problem: (state == OperationState::Failed).then(|| {
                Problem::new(
                    ProblemKind::GuestNotAnswering,
                    "web did not shut down within 90 seconds",
                )
            }),
            created: time(0),
            started: Some(time(1)),
            ended: state.is_final().then(|| time(91)),
        }
    }

    #[test]
    fn operations_are_a_table() {
        let operations = [
            operation(OperationState::Running),
            operation(OperationState::Failed),
        ];
        insta::assert_snapshot!(table(&operations, time(240), Look::plain()));
    }

    #[test]
    fn an_operation_shows_its_steps_and_its_problem() {
        insta::assert_snapshot!(page(
            &operation(OperationState::Failed),
            &TimeZone::UTC,
            Look::plain()
        ));
    }
}
