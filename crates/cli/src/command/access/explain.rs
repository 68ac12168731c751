// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv access explain`: why somebody may do something, or may not.

use clap::Args;
use hv_model::{
    access::{AccessAnswer, AccessQuestion, Action, Decision},
    name::{UserName, VmName},
};

use crate::{
    arguments::action,
    failure::Failure,
    output::{Column, Look, Paint, Table, shown, table::Cell},
    session::Session,
};

/// A question about somebody's rights.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Who.
    user: UserName,
    /// What, such as vm.start.
    #[arg(value_parser = action())]
    action: Action,
    /// On which VM.
    vm: Option<VmName>,
}

/// Explains it.
pub(super) async fn run(session: &Session, explain: Explain) -> Result<(), Failure> {
    let question = AccessQuestion {
        user: explain.user,
        action: explain.action,
        vm: explain.vm,
    };
    let answer = session.client.explain_access(&question).await?;
    session.answer(&answer, |answer| text(answer, session.look))
}

fn text(answer: &AccessAnswer, look: Look) -> String {
    let verdict = match &answer.decision {
        Decision::Allow { .. } => look.paint(Paint::Good, "allowed"),
        Decision::Deny { .. } => look.paint(Paint::Bad, "denied"),
        Decision::Ask { .. } => look.paint(Paint::Warning, "asked for more"),
    };
    let mut text = format!("{verdict}: {}\n", shown(&answer.why));
    let mut table = Table::new([
        Column::text("GRANT"),
        Column::text("ROLE"),
        Column::text("ON"),
        Column::text("REACHES"),
        Column::yielding("WHY"),
    ]);
    for reach in &answer.grants {
        let reaches = if reach.reaches {
            Cell::painted(Paint::Good, "yes")
        } else {
            Cell::from("no")
        };
        table.row([
            reach.grant.name.as_str().into(),
            reach.grant.role.as_str().into(),
            reach.grant.on.to_string().into(),
            reaches,
            shown(&reach.why).into(),
        ]);
    }
    if !table.is_empty() {
        text = text + "\n" + &table.render(look);
    }
    if !answer.remedies.is_empty() {
        text += "\nAn administrator would allow it with one of these:\n";
        for remedy in &answer.remedies {
            let command = look.paint(Paint::Command, &shown(remedy));
            text.extend(["  ", &command, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use hv_model::access::{Grant, GrantReach, Role};

    use super::*;

    #[test]
    fn a_denial_says_which_grants_there_are_and_what_would_change_it() {
        let answer = AccessAnswer {
            decision: Decision::Deny {
                policy: "default".into(),
            },
            why: "No policy permits eve to do vm.delete to vm/bench.".into(),
            grants: vec![GrantReach {
                grant: Grant {
                    name: "lab".parse().unwrap(),
                    to: "user:eve".parse().unwrap(),
                    role: Role::Operator,
                    on: "tag:lab".parse().unwrap(),
                    until: None,
                },
                reaches: false,
                why: "the role operator does not allow vm.delete".into(),
            }],
            remedies: vec!["hv access grant creator user:eve --on vm:bench".into()],
        };
        insta::assert_snapshot!(text(&answer, Look::plain()));
    }
}
