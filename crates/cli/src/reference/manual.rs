// SPDX-License-Identifier: GPL-3.0-or-later
//! Man pages, one a command.

use std::io;

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::{examples, walk};

/// What each exit code says.
const EXIT_CODES: [(&str, &str); 8] = [
    ("0", "It is done."),
    ("1", "It failed."),
    ("2", "It was asked for in a wrong way."),
    ("3", "What was named does not exist."),
    ("4", "You may not do that."),
    ("5", "It does not fit with how things are now."),
    ("6", "The daemon or the host cannot be reached."),
    ("130", "It was left by Ctrl-C; an operation goes on."),
];

/// Each command's page, with its name: `hv`, `hv-vm`, `hv-vm-start` ….
pub(super) fn pages(root: &Command) -> io::Result<Vec<(String, String)>> {
    let mut commands = Vec::new();
    walk(root, &[], &mut |command, path| {
        let page = command
            .clone()
            .display_name(path.join("-"))
            .bin_name(path.join(" "))
            .disable_help_subcommand(true);
        commands.push((path.join("-"), page));
    });
    let pages = commands.into_iter().map(|(name, command)| {
        let page = page(&name, command)?;
        Ok((name, page))
    });
    pages.collect()
}

fn page(name: &str, mut command: Command) -> io::Result<String> {
    let synopsis = synopsis(&mut command);
    let examples = examples(&command);
    let has_commands = command.has_subcommands();
    let man = Man::new(command)
        .title(name.to_uppercase())
        .date("")
        .source(format!("hv {}", env!("CARGO_PKG_VERSION")))
        .manual("Hyper-NixOS");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis.to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    let mut end = Roff::new();
    end.control("SH", ["EXAMPLES"]);
    for (typed, what) in &examples {
        end.control("TP", []);
        end.text([bold(typed.as_str())]);
        end.text([roman(what.as_str())]);
    }
    end.control("SH", ["EXIT STATUS"]);
    for (code, what) in EXIT_CODES {
        end.control("TP", []);
        end.text([bold(code)]);
        end.text([roman(what)]);
    }
    end.to_writer(&mut page)?;
    String::from_utf8(page).map_err(io::Error::other)
}

/// How the command is typed, as its help says it: what can be given several times is shown as such.
fn synopsis(command: &mut Command) -> Roff {
    let usage = command.render_usage().to_string();
    let typed = usage.trim_start_matches("Usage:").trim();
    let name = command.get_bin_name().unwrap_or_default().to_owned();
    let rest = typed.strip_prefix(&name).unwrap_or(typed).to_owned();
    let mut section = Roff::new();
    section.control("SH", ["SYNOPSIS"]);
    section.text([bold(name), roman(rest)]);
    section
}
