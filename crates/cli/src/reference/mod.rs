// SPDX-License-Identifier: GPL-3.0-or-later
//! What is generated from the command line's definition: `docs/cli.md` and the man pages; and from
//! the checks of the security audit, `docs/security-audit.md`.

mod manual;
mod markdown;

use std::{io, path::PathBuf};

use clap::Command;

/// Every generated file, with its path from the project's root.
pub fn files() -> io::Result<Vec<(PathBuf, String)>> {
    let root = built(crate::command());
    let mut files = vec![
        (PathBuf::from("docs/cli.md"), markdown::render(&root)),
        (
            PathBuf::from("docs/security-audit.md"),
            crate::security::reference_page(),
        ),
    ];
    for (name, page) in manual::pages(&root)? {
        files.push((PathBuf::from(format!("docs/man/{name}.1")), page));
    }
    Ok(files)
}

/// The examples of a command: what is typed, and what it does.
fn examples(command: &Command) -> Vec<(String, String)> {
    let text = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
    let pairs = lines.chunks(2).filter_map(|pair| match pair {
        [typed, what] => Some(((*typed).to_owned(), (*what).to_owned())),
        _ => None,
    });
    pairs.collect()
}

fn built(mut root: Command) -> Command {
    root = root.disable_help_subcommand(true).term_width(0);
    root.build();
    root
}

fn walk(command: &Command, above: &[String], visit: &mut impl FnMut(&Command, &[String])) {
    let mut path = above.to_vec();
    path.push(command.get_name().to_owned());
    visit(command, &path);
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
    {
        walk(inner, &path, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        crate::command().debug_assert();
    }

    #[test]
    fn a_man_page_says_what_can_be_given_several_times() {
        let mut files = files().unwrap().into_iter();
        let (_, page) = files
            .find(|(path, _)| path.ends_with("hv-vm-stop.1"))
            .unwrap();
        let mut synopsis = page.lines().skip_while(|line| *line != ".SH SYNOPSIS");
        let line = synopsis.nth(1).unwrap();
        assert_eq!(line, r"\fBhv vm stop\fR [OPTIONS] <VM>...");
    }

    #[test]
    fn every_command_has_two_examples_that_can_be_typed() {
        walk(&built(crate::command()), &[], &mut |command, path| {
            let path = path.join(" ");
            let examples = examples(command);
            assert!(
                examples.len() >= 2,
                "{path} has {} examples",
                examples.len()
            );
            for (typed, _) in examples {
                let typed = typed.trim_start_matches("source <(").trim_end_matches(')');
                let typed = typed.split(" > ").next().unwrap();
                let typed = typed.split(" < ").next().unwrap();
                let typed = typed.split(" | ").last().unwrap();
                let parsed = crate::command().try_get_matches_from(typed.split(' '));
                assert!(parsed.is_ok(), "{typed}: {}", parsed.unwrap_err());
            }
        });
    }

    #[test]
    fn the_reference_and_every_man_page_are_written() {
        let files = files().unwrap();
        assert!(files.iter().all(|(_, text)| !text.contains('\u{1b}')));
        let names: Vec<String> = files
            .iter()
            .map(|(path, _)| path.display().to_string())
            .collect();
        assert!(
            names.contains(&"docs/man/hv-vm-start.1".to_owned()),
            "{names:?}"
        );
        assert!(files.iter().all(|(_, content)| content.len() > 200));
    }
}
