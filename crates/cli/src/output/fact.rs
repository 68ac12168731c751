// SPDX-License-Identifier: GPL-3.0-or-later
//! Facts about one thing: a word and what is known, one a line.

use super::{
    look::{Look, Paint},
    text::width,
};

/// Facts in the order in which they are shown. Their texts must be safe to show already.
#[derive(Debug, Default)]
pub(crate) struct Facts(Vec<(String, String, Paint)>);

impl Facts {
    /// Adds a fact.
    pub(crate) fn add(&mut self, word: impl Into<String>, what: impl Into<String>) -> &mut Self {
        self.add_painted(word, Paint::Plain, what)
    }

    /// Adds a fact with a look of its own.
    pub(crate) fn add_painted(
        &mut self,
        word: impl Into<String>,
        paint: Paint,
        what: impl Into<String>,
    ) -> &mut Self {
        self.0.push((word.into(), what.into(), paint));
        self
    }

    /// Adds a fact, if it is known.
    pub(crate) fn add_known(&mut self, word: &str, what: Option<impl Into<String>>) -> &mut Self {
        match what.map(Into::into) {
            Some(what) if !what.is_empty() => self.add(word, what),
            _ => self,
        }
    }

    /// The facts as lines; a word that repeats the one before it is left out.
    pub(crate) fn render(&self, look: Look) -> String {
        let columns = self
            .0
            .iter()
            .map(|(word, ..)| width(word))
            .max()
            .unwrap_or(0);
        let mut page = String::new();
        let mut before = "";
        for (word, what, paint) in &self.0 {
            let repeated = word == before;
            let space = columns + 2 - if repeated { 0 } else { width(word) };
            if !repeated {
                page.push_str(&look.paint(Paint::Faint, word));
            }
            page.extend(std::iter::repeat_n(' ', space));
            let mut lines = what.lines();
            page.push_str(&look.paint(*paint, lines.next().unwrap_or_default()));
            page.push('\n');
            for line in lines {
                page.extend(std::iter::repeat_n(' ', columns + 2));
                page.push_str(&look.paint(*paint, line));
                page.push('\n');
            }
            before = word;
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_aligned_and_not_repeated() {
        let mut facts = Facts::default();
        facts
            .add("state", "running")
            .add("disk", "vda")
            .add("disk", "vdb")
            .add_known("owner", None::<&str>);
        assert_eq!(
            facts.render(Look::plain()),
            "state  running\ndisk   vda\n       vdb\n"
        );
    }
}
