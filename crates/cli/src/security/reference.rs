// SPDX-License-Identifier: GPL-3.0-or-later
//! `docs/security-audit.md`: every check, from its definition.

use std::fmt::Write;

use hv_model::security::{Category, Coverage, Framework, Objective, Report};

use super::check::{self, Check};

/// The page.
pub(crate) fn page() -> String {
    let mut page = introduction();
    for category in Category::ALL {
        page.extend([format!(
            "\n## {}\n\n{}\n",
            category.title(),
            category.question()
        )]);
        for check in check::all().filter(|check| check.category == *category) {
            page.push_str(&section(check));
        }
    }
    page.push_str(&controls());
    page
}

fn introduction() -> String {
    let count = check::all().count();
    let from = Report::FAILS_FROM;
    format!(
        "<!-- Generated from crates/cli/src/security by `./dev gen`. -->

# Security audit

`hv audit security` asks this host {count} questions in 15 categories and says, for each, what it saw,
where, why that matters, and what mends it. It looks at the running system and its configuration:
procfs, modes of files, libvirt's and sshd's settings, units, VMs as libvirt has them defined, and what
hvd answers. It changes nothing.

It runs as whoever calls it. Root sees everything. What somebody else may not read is `unknown`, with
the reason, and never a pass.

| result | what it says |
|---|---|
| pass | what the check asks for is so |
| fail | it is not so |
| warn | it is so in part, or only for as long as something else holds |
| unknown | it could not be looked at |
| not-applicable | there is nothing here that it could be asked of |

The exit code is 0 if nothing failed that is of severity {from} or more, of what was shown
(`--category`, `--min-severity`), and 1 otherwise. Warnings and what is unknown do not change it; the
last line counts them.

`--format` chooses text, JSON, Markdown, or HTML in one file; `--output FILE` writes a file that only
you can read. `--compliance` shows what the findings say about the controls of a framework, or of all.
Such a view is evidence for an assessment, not its outcome. A control passes only where checks see all
that it asks for, and each passed; `partial` says that something remains, which the view names.
"
    )
}

fn section(check: &Check) -> String {
    let mut text = format!(
        "\n### {}\n\n{}. Severity: {}.\n\n",
        check.id, check.title, check.severity
    );
    text.extend([format!("*Why:* {}\n\n", check.why)]);
    for fix in check.fix {
        text.extend([format!("- `{fix}`\n")]);
    }
    let mut named: Vec<String> = Vec::new();
    for framework in Framework::ALL {
        let ids = check
            .objectives
            .iter()
            .flat_map(|objective| objective.ids_in(*framework));
        let mut ids: Vec<&str> = ids.collect();
        ids.sort_unstable();
        ids.dedup();
        if !ids.is_empty() {
            named.push(format!("{framework} {}", ids.join(", ")));
        }
    }
    text.extend([format!("\n*Controls:* {}\n", named.join("; "))]);
    text
}

fn controls() -> String {
    let mut text = String::from(
        "\n## What frameworks ask for\n\n| objective | seen by checks | controls |\n|---|---|---|\n",
    );
    for objective in Objective::ALL {
        let seen = match objective.coverage() {
            Coverage::Whole => "all of it".to_owned(),
            Coverage::Part(what) => format!("a part; to be shown: {what}"),
            Coverage::Manual(what) => format!("nothing; to be shown: {what}"),
            Coverage::Inherited(whom) => format!("nothing; answered for by {whom}"),
        };
        let controls = objective
            .controls()
            .map(|control| format!("{} {}", control.framework, control.id));
        let controls = controls.collect::<Vec<_>>().join(", ");
        // Writing to a string succeeds.
        writeln!(text, "| {} | {seen} | {controls} |", objective.title()).unwrap_or_default();
    }
    text
}
