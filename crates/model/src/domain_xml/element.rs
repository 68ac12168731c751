// SPDX-License-Identifier: GPL-3.0-or-later
//! XML as a tree that escapes whatever text is put into it.

use std::fmt::{Display, Write};

/// An element. The names of elements and attributes come from this program alone; every text that
/// comes from elsewhere is escaped as it is written, and can't end its attribute or element.
#[derive(Debug, Clone)]
pub(super) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Elements(Vec<Element>),
    Text(String),
}

/// A character that XML 1.0 can't hold, not even escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ForbiddenCharacter(pub(super) char);

impl Element {
    /// An empty element.
    pub(super) const fn new(name: &'static str) -> Self {
        Self {
            name,
            attributes: Vec::new(),
            content: Content::Elements(Vec::new()),
        }
    }

    /// An element with nothing but a text in it.
    pub(super) fn text(name: &'static str, text: impl Display) -> Self {
        Self {
            content: Content::Text(text.to_string()),
            ..Self::new(name)
        }
    }

    /// With an attribute.
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// With these elements behind those that it has; an `Option` is none or one.
    #[must_use]
    pub(super) fn containing(mut self, elements: impl IntoIterator<Item = Self>) -> Self {
        if let Content::Elements(content) = &mut self.content {
            content.extend(elements);
        }
        self
    }

    /// The element if it says anything: by an attribute or by what is in it.
    pub(super) fn unless_empty(self) -> Option<Self> {
        match &self.content {
            Content::Elements(elements) if elements.is_empty() && self.attributes.is_empty() => {
                None
            }
            _ => Some(self),
        }
    }

    /// The element as a document, two spaces a level.
    pub(super) fn render(&self) -> Result<String, ForbiddenCharacter> {
        let mut out = String::new();
        self.write(&mut out, 0)?;
        Ok(out)
    }

    fn write(&self, out: &mut String, depth: usize) -> Result<(), ForbiddenCharacter> {
        let indent = "  ".repeat(depth);
        out.push_str(&indent);
        out.push('<');
        out.push_str(self.name);
        for (name, value) in &self.attributes {
            out.push(' ');
            out.push_str(name);
            out.push_str("='");
            escape(value, Place::Attribute, out)?;
            out.push('\'');
        }
        match &self.content {
            Content::Elements(elements) if elements.is_empty() => {
                out.push_str("/>\n");
                return Ok(());
            }
            Content::Elements(elements) => {
                out.push_str(">\n");
                for element in elements {
                    element.write(out, depth + 1)?;
                }
                out.push_str(&indent);
            }
            Content::Text(text) => {
                out.push('>');
                escape(text, Place::Text, out)?;
            }
        }
        out.push_str("</");
        out.push_str(self.name);
        out.push_str(">\n");
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Attribute,
    Text,
}

fn escape(text: &str, place: Place, out: &mut String) -> Result<(), ForbiddenCharacter> {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if place == Place::Attribute => out.push_str("&quot;"),
            '\'' if place == Place::Attribute => out.push_str("&apos;"),
            // A parser would make a space of these in an attribute, and a line feed of a carriage
            // return anywhere.
            '\n' | '\t' if place == Place::Attribute => reference(character, out),
            '\r' => reference(character, out),
            '\n' | '\t' => out.push(character),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => return Err(ForbiddenCharacter(character)),
            other => out.push(other),
        }
    }
    Ok(())
}

fn reference(character: char, out: &mut String) {
    // Writing into a `String` does not fail.
    let _ = write!(out, "&#{};", u32::from(character));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_refused() {
        for bad in ["\0", "a\u{b}", "\u{1f}", "\u{ffff}"] {
            assert!(Element::text("a", bad).render().is_err(), "{bad:?}");
            assert!(
                Element::new("a").with("b", bad).render().is_err(),
                "{bad:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_where_it_was_put(attribute in ".*", text in "(?s).*") {
            let element = Element::new("a")
                .with("first", &attribute)
                .with("second", "2")
                .containing([Element::text("b", &text), Element::new("c")]);
            if let Ok(xml) = element.render() {
                let document = roxmltree::Document::parse(&xml).unwrap();
                let root = document.root_element();
                prop_assert_eq!(root.attribute("first"), Some(attribute.as_str()));
                prop_assert_eq!(root.attributes().len(), 2);
                let elements: Vec<_> = root.children().filter(roxmltree::Node::is_element).collect();
                prop_assert_eq!(elements.len(), 2);
                prop_assert_eq!(elements[0].text().unwrap_or_default(), text.as_str());
                prop_assert_eq!(elements[0].children().filter(roxmltree::Node::is_element).count(), 0);
            }
        }
    }
}
