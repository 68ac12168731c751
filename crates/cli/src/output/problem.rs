// SPDX-License-Identifier: GPL-3.0-or-later
//! Problems as a person reads them: what happened, why, how to go on, what to try.

use hv_model::problem::{Problem, ProblemKind};

use super::{
    Facts, Look, Paint, shown,
    text::{quoted, wrapped},
};

/// How wide the words before each fact are, with the space behind them.
const MARGIN: usize = 8;

/// What a problem is about, where that is known: the `NAME` in the catalogue's words.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About<'a>(pub Option<&'a str>);

/// A problem as lines. Its faults, if it has any, are listed without the text that they are in.
pub(crate) fn render(problem: &Problem, about: About<'_>, look: Look) -> String {
    let entry = problem.kind.entry();
    let mut page = error_line(&sentence(problem), look);
    for fault in &problem.faults {
        page.push_str("  ");
        page.push_str(&shown(&fault.to_string()));
        page.push('\n');
    }
    let columns = look.prose() - MARGIN;
    let mut facts = Facts::default();
    facts.add("  why", wrapped(entry.why, columns).join("\n"));
    facts.add(
        "  fix",
        wrapped(&named(&shown(&problem.hint), about), columns).join("\n"),
    );
    for command in &problem.commands {
        facts.add_painted("  try", Paint::Command, shown(command));
    }
    facts.add_painted(
        "  more",
        Paint::Command,
        format!("hv explain {}", entry.slug),
    );
    page.push_str(&facts.render(look));
    page
}

/// The first line of anything that went wrong.
pub(crate) fn error_line(what: &str, look: Look) -> String {
    format!("{} {what}\n", look.paint(Paint::Bad, "error:"))
}

/// An entry of the catalogue as lines.
pub(crate) fn explain(kind: ProblemKind, look: Look) -> String {
    let entry = kind.entry();
    let columns = look.prose() - MARGIN;
    let mut facts = Facts::default();
    facts.add("  why", wrapped(entry.why, columns).join("\n"));
    facts.add("  fix", wrapped(entry.fix, columns).join("\n"));
    facts.add(
        "  code",
        format!("exit {}, HTTP {}", entry.exit as u8, entry.status),
    );
    let title = look.paint(Paint::Heading, entry.title);
    format!(
        "{title} {}\n{}",
        look.paint(Paint::Faint, &format!("({kind})")),
        facts.render(look)
    )
}

/// What happened, with the catalogue's title where the detail is silent.
fn sentence(problem: &Problem) -> String {
    match problem.detail.trim() {
        "" => problem.title.clone(),
        detail => shown(detail).into_owned(),
    }
}

/// The catalogue's words about this very thing, so that its commands run as printed.
fn named(text: &str, about: About<'_>) -> String {
    let Some(name) = about.0 else {
        return text.to_owned();
    };
    let name = shown(name);
    let mut named = String::with_capacity(text.len());
    let mut before = ("", "");
    for word in text.split_inclusive(' ') {
        // `hv vm console NAME` is about the VM, `virsh net-start NAME` is not.
        if before.0 == "vm " && word.starts_with("NAME") {
            named.push_str(&word.replacen("NAME", &quoted(&name), 1));
        } else {
            named.push_str(word);
        }
        before = (before.1, word);
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use hv_model::document::Fault;

    #[test]
    fn a_problem_says_what_why_and_how_to_go_on() {
        let problem = Problem::new(
            ProblemKind::GuestNotAnswering,
            "web did not shut down within 90 seconds",
        )
        .with_try("hv vm console web")
        .with_try("hv vm kill web");
        insta::assert_snapshot!(render(&problem, About(Some("web")), Look::plain()));
    }

    #[test]
    fn a_hostile_name_cannot_steer_the_terminal() {
        let problem = Problem::new(
            ProblemKind::ForeignVm,
            "\x1b]0;owned\x07 was made with another tool",
        );
        let page = render(&problem, About(Some("\x1b]0;owned\x07")), Look::plain());
        assert!(!page.contains('\x1b') && !page.contains('\x07'), "{page}");
    }

    #[test]
    fn faults_are_listed() {
        let problem = Problem::new(ProblemKind::InvalidSpec, "the spec of web has 2 faults")
            .with_faults(vec![
                Fault::new("memory.size", "is too small").allowed("16 MiB to 16 TiB"),
                Fault::new("nmae", "is unknown").nearest("name"),
            ]);
        insta::assert_snapshot!(render(&problem, About(Some("web")), Look::plain()));
    }

    #[test]
    fn only_commands_about_vms_get_the_name_of_one() {
        let text = "Run hv vm set NAME --cpus 2, or virsh net-start NAME. Then: hv vm start NAME.";
        let named = named(text, About(Some("web")));
        assert_eq!(
            named,
            "Run hv vm set web --cpus 2, or virsh net-start NAME. Then: hv vm start web."
        );
    }

    #[test]
    fn every_kind_can_be_explained() {
        let pages: Vec<String> = ProblemKind::ALL
            .iter()
            .map(|kind| explain(*kind, Look::plain()))
            .collect();
        insta::assert_snapshot!(pages.join("\n"));
    }
}
