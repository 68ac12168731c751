// SPDX-License-Identifier: GPL-3.0-or-later
//! Spec files: read with every fault told in its place, and written so that they read back.

mod fault;
pub mod yaml;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use hv_model::{
    document::{self, Format, Located},
    problem::{Problem, ProblemKind},
    vm::VmSpec,
};

pub(crate) use self::fault::SpecFaults;
use crate::failure::Failure;

/// A spec that was read from a file without a fault.
#[derive(Debug)]
pub(crate) struct SpecFile {
    located: Located<VmSpec>,
    source: Source,
}

/// A text and the name of its file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The file's name as it was given; `-` for standard input.
    pub file: String,
    /// What is in it.
    pub text: String,
}

impl SpecFile {
    /// Reads a file, or standard input if its name is `-`.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let (source, format) = open(path)?;
        Self::parse(source, format)
    }

    fn parse(source: Source, format: Format) -> Result<Self, Failure> {
        let judge = |spec: &VmSpec| [spec.validate(), spec.not_yet()].concat();
        match document::read_and_judge(&source.text, format, judge) {
            Ok(located) => Ok(Self { located, source }),
            Err(faults) => Err(SpecFaults::new(source, faults.into()).into()),
        }
    }

    /// The spec itself.
    pub(crate) fn spec(&self) -> &VmSpec {
        &self.located.value
    }

    /// What the daemon refused, with the faults that it found put where they are in the file.
    pub(crate) fn place(&self, problem: Problem) -> Failure {
        let by_faults = matches!(
            problem.kind,
            ProblemKind::InvalidSpec | ProblemKind::NotYetSupported
        );
        if !by_faults || problem.faults.is_empty() {
            return problem.into();
        }
        let faults = problem
            .faults
            .into_iter()
            .map(|fault| self.located.place(fault))
            .collect();
        SpecFaults::new(self.source.clone(), faults).into()
    }
}

fn open(path: &Path) -> Result<(Source, Format), Failure> {
    if path == Path::new("-") {
        let text =
            read_all(io::stdin().lock()).map_err(Failure::local("cannot read standard input"))?;
        let format = guess(&text);
        return Ok((
            Source {
                file: "-".into(),
                text,
            },
            format,
        ));
    }
    let file = path.display().to_string();
    let Some(format) = Format::from_path(path) else {
        return Err(Failure::usage(
            format!("the format of {file} is not known"),
            "Give the file an ending that tells its format: .yaml, .toml or .json.",
        ));
    };
    let text = File::open(path)
        .and_then(read_all)
        .map_err(Failure::local(format!("cannot read {file}")))?;
    Ok((Source { file, text }, format))
}

/// Reads a text, no more of it than a document may have and the byte that shows it to be too long.
fn read_all(source: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    source
        .take(document::MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// The format of a text without a file name, by the first line that says something.
fn guess(text: &str) -> Format {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    match lines.next() {
        Some(line) if line.starts_with('{') => Format::Json,
        Some(line) if line.starts_with('[') => Format::Toml,
        Some(line) => match (line.find('='), line.find(':')) {
            (Some(equals), colon) if colon.is_none_or(|colon| equals < colon) => Format::Toml,
            _ => Format::Yaml,
        },
        None => Format::Yaml,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Look;

    fn parse(file: &str, text: &str) -> Result<SpecFile, Failure> {
        let format = Format::from_path(Path::new(file)).unwrap();
        SpecFile::parse(
            Source {
                file: file.into(),
                text: text.into(),
            },
            format,
        )
    }

    #[test]
    fn a_text_without_a_name_is_read_as_what_it_looks_like() {
        for (text, format) in [
            ("{\"name\": \"web\"}", Format::Json),
            ("# a VM\n\nname = \"web\"\n", Format::Toml),
            ("[memory]\nsize = \"1 GiB\"", Format::Toml),
            ("name: web\ndescription: a = b\n", Format::Yaml),
            ("", Format::Yaml),
        ] {
            assert_eq!(guess(text), format, "{text}");
        }
    }

    #[test]
    fn every_fault_of_a_file_is_shown_in_its_line() {
        let text = "name: web server\nmemory: 2 XB\ncpuz: 2\ndisks:\n  - size: 10 GiB\n    bus: virtoi\nnics:\n  - network: default\n    mac: 01:00:5e:00:00:01\n";
        let failure = parse("web.yaml", text).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        insta::assert_snapshot!(failure.render(Look::plain()));
    }

    #[test]
    fn faults_of_a_toml_and_a_json_file_are_shown_in_their_lines_too() {
        let toml = parse(
            "web.toml",
            "name = \"web\"\ncpus = \"many\"\n\n[memory]\nsizze = \"1 GiB\"\n",
        );
        let json = parse("web.json", "{\"name\": \"web\",\n\t\"firmware\": \"efi\"}");
        let pages = [toml, json].map(|read| read.unwrap_err().render(Look::plain()));
        insta::assert_snapshot!(pages.join("\n"));
    }

    #[test]
    fn what_the_daemon_finds_is_put_where_it_is_in_the_file() {
        let file = parse(
            "web.yaml",
            "name: web\ndisks:\n  - image: debian\n    size: 1 GiB\n",
        )
        .unwrap();
        let problem =
            Problem::new(ProblemKind::InvalidSpec, "the spec has a fault").with_faults(vec![
                document::Fault::new("disks[0].size", "is smaller than the image")
                    .allowed("at least 2 GiB"),
            ]);
        insta::assert_snapshot!(file.place(problem).render(Look::plain()));
    }

    #[test]
    fn a_file_without_a_known_ending_is_refused_with_advice() {
        let failure = SpecFile::read(Path::new("/no/such/web.txt")).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        let failure = SpecFile::read(Path::new("/no/such/web.yaml")).unwrap_err();
        assert_eq!(failure.exit_code(), 3);
    }
}
