// SPDX-License-Identifier: GPL-3.0-or-later
//! Faults of a spec file as a compiler shows them: the place, the line, and what is allowed.

use hv_model::{
    document::Fault,
    problem::{Problem, ProblemKind},
};

use super::Source;
use crate::{
    failure::Failure,
    output::{
        Look, Paint,
        problem::error_line,
        shown,
        text::{counted, width, wrapped},
    },
};

/// How many characters of a long line are shown before and behind the fault.
const BEFORE: usize = 40;
const BEHIND: usize = 60;

/// Everything that is wrong with a spec file.
#[derive(Debug)]
pub(crate) struct SpecFaults {
    source: Source,
    faults: Vec<Fault>,
}

impl SpecFaults {
    /// The faults of a text.
    pub(crate) fn new(source: Source, faults: Vec<Fault>) -> Self {
        Self { source, faults }
    }

    /// The same as the problem that the daemon would have told.
    pub(crate) fn problem(&self) -> Problem {
        Problem::new(ProblemKind::InvalidSpec, self.summary()).with_faults(self.faults.clone())
    }

    fn summary(&self) -> String {
        let file = match self.source.file.as_str() {
            "-" => "the spec on standard input",
            file => file,
        };
        format!(
            "{} has {}",
            shown(file),
            counted(self.faults.len(), "fault")
        )
    }

    /// Each fault with its line.
    pub(crate) fn render(&self, look: Look) -> String {
        let mut page = error_line(&self.summary(), look);
        for fault in &self.faults {
            page.push('\n');
            page.push_str(&self.render_one(fault, look));
        }
        let command = look.paint(Paint::Command, "hv schema vm");
        page.extend(["\nThe whole format: ", &command, "\n"]);
        page
    }

    fn render_one(&self, fault: &Fault, look: Look) -> String {
        // The place and the advice have lines of their own.
        let mut sentence = fault.clone();
        (sentence.line, sentence.column) = (None, None);
        (sentence.allowed, sentence.nearest) = (None, None);
        let file = shown(&self.source.file).into_owned();
        let place = match (fault.line, fault.column) {
            (Some(line), Some(column)) => format!("{file}:{line}:{column}:"),
            _ => format!("{file}:"),
        };
        let place = look.paint(Paint::Heading, &place);
        let mut page = format!("{place} {}\n", shown(&sentence.to_string()));
        if let (Some(line), Some(column)) = (fault.line, fault.column)
            && let Some(quoted) = self.quote(line, column, fault.value.as_deref(), look)
        {
            page.push_str(&quoted);
        }
        for (word, advice) in [("nearest", &fault.nearest), ("allowed", &fault.allowed)] {
            let Some(advice) = advice else { continue };
            let indent = " ".repeat(word.len() + 4);
            let lines = wrapped(
                &shown(advice),
                look.prose().saturating_sub(indent.len()).max(20),
            );
            let word = look.paint(Paint::Faint, &format!("{word}:"));
            let advice = lines.join(&format!("\n{indent}"));
            page.extend(["  ", &word, " ", &advice, "\n"]);
        }
        page
    }

    /// The line with a mark under what is at fault.
    fn quote(&self, line: u32, column: u32, value: Option<&str>, look: Look) -> Option<String> {
        let text = self
            .source
            .text
            .lines()
            .nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
        let column = usize::try_from(column).ok()?.checked_sub(1)?;
        let before: Vec<char> = text.chars().take(column).collect();
        let behind: String = text.chars().skip(column).collect();
        let cut_before = before.len().saturating_sub(BEFORE);
        let before: String = before.into_iter().skip(cut_before).map(plain).collect();
        let cut_behind = behind.chars().count() > BEHIND;
        let marked = marked(&behind, value).min(BEHIND);
        let mark: String = behind.chars().take(marked).map(plain).collect();
        let behind: String = behind.chars().take(BEHIND).map(plain).collect();

        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let start = if cut_before > 0 { "…" } else { "" };
        let end = if cut_behind { "…" } else { "" };
        let bar = look.paint(Paint::Faint, "|");
        let number = look.paint(Paint::Faint, &number);
        let space = " ".repeat(width(start) + width(&before));
        let carets = look.paint(Paint::Bad, &"^".repeat(width(&mark).max(1)));
        Some(format!(
            "  {number} {bar} {start}{before}{behind}{end}\n  {margin} {bar} {space}{carets}\n"
        ))
    }
}

/// How many characters of the text at the fault belong to it.
fn marked(text: &str, value: Option<&str>) -> usize {
    let whole = |part: &str| part.chars().count();
    if let Some(value) = value {
        let bare = value.trim_matches(['"', '\'']);
        if let Some(found) = [value, bare]
            .into_iter()
            .find(|form| !form.is_empty() && text.starts_with(*form))
        {
            return whole(found);
        }
    }
    if let Some(quote @ ('"' | '\'')) = text.chars().next() {
        let inside = text
            .chars()
            .skip(1)
            .take_while(|other| *other != quote)
            .count();
        return (inside + 2).min(whole(text));
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ':' | '=' | ']' | '}' | '#');
    text.chars()
        .take_while(|other| !ends(*other))
        .count()
        .max(1)
}

/// A character that takes one place and steers nothing, so that marks stand where they should.
fn plain(character: char) -> char {
    match character {
        '\t' => ' ',
        other if shown(other.encode_utf8(&mut [0; 4])).chars().count() > 1 => '?',
        other => other,
    }
}

impl From<SpecFaults> for Failure {
    fn from(faults: SpecFaults) -> Self {
        Self::Spec(Box::new(faults))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_marked_is_the_value_or_the_word() {
        assert_eq!(marked("2 XB # memory", Some("\"2 XB\"")), 4);
        assert_eq!(marked("\"2 XB\", 3", Some("\"2 XB\"")), 6);
        assert_eq!(marked("'a: b': 1", None), 6);
        assert_eq!(marked("cpuz: 2", None), 4);
        assert_eq!(marked("", None), 1);
    }

    fn faults(text: String, line: u32, column: u32) -> SpecFaults {
        let mut fault = Fault::new("x", "is wrong");
        (fault.line, fault.column) = (Some(line), Some(column));
        SpecFaults::new(
            Source {
                file: "x.yaml".into(),
                text,
            },
            vec![fault],
        )
    }

    #[test]
    fn a_long_line_is_cut_around_the_fault() {
        let text = format!("{}bad: 1{}", "a".repeat(300), "z".repeat(300));
        insta::assert_snapshot!(faults(text, 1, 301).render(Look::plain()));
    }

    proptest! {
        #[test]
        fn no_text_and_no_place_makes_it_panic_or_steer(text in "\\PC{0,80}|[\\x00-\\x9f]{0,80}", line in 0_u32..4, column in 0_u32..100) {
            let page = faults(text, line, column).render(Look::plain());
            prop_assert!(!page.chars().any(|c| c.is_control() && c != '\n'));
        }
    }
}
