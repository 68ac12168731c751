// SPDX-License-Identifier: GPL-3.0-or-later
//! The view by controls on a terminal.

use hv_model::security::{ControlStatus, ControlView, ControlsView};

use crate::output::{Facts, Look, Paint, shown, text::wrapped};

/// How far facts stand from the edge, with their word.
const MARGIN: usize = 14;

/// The view as lines.
pub(crate) fn render(view: &ControlsView, look: Look) -> String {
    let mut page = format!("{}\n", wrapped(&view.note, look.prose()).join("\n"));
    for framework in &view.frameworks {
        let title = look.paint(Paint::Heading, &framework.title);
        let scope = wrapped(&framework.scope, look.prose()).join("\n");
        page.extend([format!("\n{title}\n{}\n", look.paint(Paint::Faint, &scope))]);
        for control in &framework.controls {
            page.push_str(&lines(control, look));
        }
        let counts = ControlStatus::ALL.iter().filter_map(|status| {
            let count = framework
                .controls
                .iter()
                .filter(|control| control.status == *status)
                .count();
            (count > 0).then(|| format!("{count} {status}"))
        });
        page.extend([format!("{}.\n", counts.collect::<Vec<_>>().join(", "))]);
    }
    page
}

fn lines(control: &ControlView, look: Look) -> String {
    let paint = match control.status {
        ControlStatus::Pass => Paint::Good,
        ControlStatus::Fail => Paint::Bad,
        ControlStatus::Partial | ControlStatus::ManualEvidence => Paint::Warning,
        ControlStatus::Inherited | ControlStatus::NotApplicable => Paint::Faint,
    };
    let status = look.paint(paint, &format!("{:15}", control.status));
    let mut page = format!("  {status} {}\n", look.paint(Paint::Heading, &control.id));
    let columns = look.prose().saturating_sub(MARGIN);
    let mut facts = Facts::default();
    for asks in &control.asks {
        facts.add("    asks", wrapped(asks, columns).join("\n"));
    }
    for evidence in &control.evidence {
        facts.add(
            "    evidence",
            wrapped(&shown(evidence), columns).join("\n"),
        );
    }
    for remains in &control.remains {
        facts.add("    remains", wrapped(remains, columns).join("\n"));
    }
    page.push_str(&facts.render(look));
    page
}
