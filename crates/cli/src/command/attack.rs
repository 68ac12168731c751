// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv attack`: the attack suite.

use std::{io, path::PathBuf};

use clap::{Args, Subcommand};
use hv_attack::{Actor, Outcome, Places, Report, Tried, Trouble, Wish};
use serde_json::json;

use crate::{
    arguments::examples,
    failure::Failure,
    output::{
        Column, Look, Paint, Table, shown,
        text::{counted, wrapped},
    },
    session::{Form, Session},
};

/// Where the canary is laid out.
const FOLDER: &str = "/var/lib/hyper-nixos-attack";
/// How far texts stand from the edge.
const MARGIN: &str = "           ";

/// What to try.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AttackArguments {
    /// Only what this actor tries; can be given several times. Without it, everybody tries.
    #[arg(long = "as", value_name = "ACTOR", value_parser = trier)]
    actors: Vec<Actor>,
    /// Only this attempt; can be given several times, or several at once with commas.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Let this actor carry out every attempt in place of its own: `--by admin` shows that what only
    /// hvd's decision stops works where it decides otherwise.
    #[arg(long, value_name = "ACTOR", value_parser = actor)]
    by: Option<Actor>,
    /// An image whose guest is Linux with a shell on its serial console, for what a guest tries.
    #[arg(long, value_name = "IMAGE")]
    linux: Option<String>,
    /// A folder for the canary, to which every user can walk.
    #[arg(long, value_name = "PATH", default_value = FOLDER)]
    folder: PathBuf,
    /// What to do instead of trying.
    #[command(subcommand)]
    command: Option<AttackCommand>,
}

#[derive(Debug, Subcommand)]
enum AttackCommand {
    /// List what is tried, by whom, and which layer must stop it.
    #[command(after_help = examples!(
        "hv attack list" => "every attempt",
        "hv attack list --json" => "the same for a program, with what success would be",
    ))]
    List,
    /// Carry out what a run of the suite asks for.
    #[command(hide = true)]
    Act,
}

/// Somebody who tries something, as root does not.
fn trier(text: &str) -> Result<Actor, Trouble> {
    let actor: Actor = text.parse()?;
    if Actor::ALL.contains(&actor) {
        Ok(actor)
    } else {
        Err(Trouble::new("root owns the host and tries nothing"))
    }
}

fn actor(text: &str) -> Result<Actor, Trouble> {
    text.parse()
}

/// Runs the suite.
pub(crate) fn run(session: &Session, arguments: AttackArguments) -> Result<(), Failure> {
    match arguments.command {
        Some(AttackCommand::List) => return list(session),
        Some(AttackCommand::Act) => {
            return hv_attack::act().map_err(Failure::local("cannot carry out an attempt"));
        }
        None => {}
    }
    let socket = session.client.unix_socket().ok_or_else(|| {
        cannot(Trouble::new(
            "it works on the host itself, through the daemon's socket there",
        ))
    })?;
    let program = std::env::current_exe().map_err(Failure::local("cannot find this program"))?;
    let places = Places {
        socket: socket.to_owned(),
        folder: arguments.folder,
        linux_image: arguments.linux,
        program,
    };
    let wish = Wish {
        actors: arguments.actors,
        only: arguments.only,
        by: arguments.by,
    };
    let mut untold = None;
    let tell = |tried: &Tried| {
        if session.form == Form::Text
            && let Err(failure) = session.print(&entry(tried, session.look))
        {
            untold.get_or_insert(failure);
        }
    };
    let report = hv_attack::run(&places, &wish, tell).map_err(cannot)?;
    if let Some(failure) = untold {
        return Err(failure);
    }
    session.answer(&report, |report| summary(report, session.look))?;
    match (report.succeeded(), report.not_tried()) {
        (0, 0) => Ok(()),
        _ => Err(Failure::Found),
    }
}

fn cannot(trouble: Trouble) -> Failure {
    Failure::Local {
        what: "the attack suite can't run".into(),
        source: io::Error::other(trouble),
    }
}

/// An attempt and how it ended.
fn entry(tried: &Tried, look: Look) -> String {
    let (paint, word) = match &tried.outcome {
        Outcome::Stopped { .. } => (Paint::Good, "stopped"),
        Outcome::Succeeded { .. } => (Paint::Bad, "SUCCEEDED"),
        Outcome::NotTried { .. } => (Paint::Warning, "not tried"),
    };
    let mut lines = vec![format!("{} tries to {}", name_of(tried.actor), tried.goal)];
    match &tried.outcome {
        Outcome::Stopped { told } => {
            let told = told
                .as_deref()
                .map_or_else(String::new, |told| format!(": {}", shown(told)));
            lines.push(format!("by {}{told}", tried.layer.words()));
        }
        Outcome::Succeeded { evidence } => {
            lines.push(format!("evidence: {}", shown(evidence)));
            lines.push(format!(
                "it should have been stopped by {}",
                tried.layer.words()
            ));
        }
        Outcome::NotTried { why } => lines.push(format!("why: {}", shown(why))),
    }
    let columns = look.prose().saturating_sub(MARGIN.len());
    let texts: Vec<String> = lines
        .iter()
        .flat_map(|line| wrapped(line, columns))
        .collect();
    let pad = " ".repeat(MARGIN.len().saturating_sub(word.len()));
    let text = texts.join(&format!("\n{MARGIN}"));
    format!(
        "{}{pad}{text}\n{MARGIN}({})\n",
        look.paint(paint, word),
        tried.name
    )
}

fn name_of(actor: Actor) -> &'static str {
    match actor {
        Actor::Operator => "An operator",
        Actor::Creator => "Somebody who may make VMs",
        Actor::Viewer => "Somebody who may look",
        Actor::Admin => "An admin",
        Actor::Anonymous => "Somebody without any right",
        Actor::Guest => "A guest",
        Actor::Hvd => "A taken-over hvd",
        Actor::Root => "Root",
    }
}

fn summary(report: &Report, look: Look) -> String {
    let all = counted(report.attempts.len(), "attempt");
    let (succeeded, not_tried) = (report.succeeded(), report.not_tried());
    if succeeded + not_tried == 0 {
        return format!(
            "{} {all}, all of them stopped.\n",
            look.paint(Paint::Good, "Held:")
        );
    }
    let stopped = report.stopped();
    format!(
        "{} {all}: {stopped} stopped, {succeeded} succeeded, {not_tried} could not be tried.\n",
        look.paint(Paint::Bad, "Not held:")
    )
}

fn list(session: &Session) -> Result<(), Failure> {
    if session.form == Form::Json {
        let attempts = hv_attack::all().map(|attempt| {
            json!({
                "name": attempt.name, "goal": attempt.goal, "success": attempt.success,
                "actors": attempt.actors, "layer": attempt.layer, "off": attempt.off,
            })
        });
        return session.print_json(&attempts.collect::<Vec<_>>());
    }
    let mut table = Table::new([
        Column::text("ATTEMPT"),
        Column::yielding("BY"),
        Column::shrinking("TO"),
        Column::text("STOPPED BY"),
    ]);
    for attempt in hv_attack::all() {
        let actors: Vec<_> = attempt.actors.iter().map(|actor| actor.as_str()).collect();
        table.row([
            attempt.name.into(),
            actors.join(", ").into(),
            attempt.goal.into(),
            attempt.layer.as_str().into(),
        ]);
    }
    session.print(&table.render(session.look))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hv_attack::{Layer, Off};

    fn tried(outcome: Outcome) -> Tried {
        Tried {
            name: "show-vm-by-name".into(),
            actor: Actor::Operator,
            goal: "look at the VM of somebody else by its name".into(),
            success: "its description or tag stands in the answer".into(),
            layer: Layer::Decision,
            off: vec![Off::Decision],
            outcome,
        }
    }

    #[test]
    fn each_attempt_is_told_with_what_stopped_it_or_what_it_got() {
        let report = Report {
            attempts: vec![
                tried(Outcome::Stopped {
                    told: Some("404: There is no VM \"web\"\u{1b}[2J.".into()),
                }),
                tried(Outcome::Succeeded {
                    evidence: "it got what the VM of somebody else is described as".into(),
                }),
                tried(Outcome::NotTried {
                    why: "hvd serves no address".into(),
                }),
            ],
        };
        let look = Look::plain();
        let entries: String = report
            .attempts
            .iter()
            .map(|tried| entry(tried, look))
            .collect();
        insta::assert_snapshot!(entries + &summary(&report, look));
    }

    #[test]
    fn a_run_in_which_all_were_stopped_says_so() {
        let report = Report {
            attempts: vec![tried(Outcome::Stopped { told: None }); 2],
        };
        assert_eq!(
            summary(&report, Look::plain()),
            "Held: 2 attempts, all of them stopped.\n"
        );
    }
}
