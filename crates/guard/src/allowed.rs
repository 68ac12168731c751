// SPDX-License-Identifier: GPL-3.0-or-later
//! A table of what an XML document may say, and the walk that holds a document against it.
//!
//! What a table doesn't list is refused with its path, so what libvirt learns in its next version
//! is refused, too, until somebody has thought about it.
//!
//! Each line of a table is an element by its path; names in braces stand for one line each. Before
//! the path, `*` says that it may repeat, `^` that it may hold itself, and `~` that whatever is
//! below it is inert. After it come `!` with the feature that it needs, its attributes with what
//! they may say, and after a colon what its text may say. `@` begins a rule; other words stand for
//! themselves.

use std::collections::BTreeMap;

use hv_model::{device::MacAddress, domain_xml::METADATA_NAMESPACE};
use roxmltree::{Document, Node};

use crate::{
    policy::HostPolicy,
    refusal::{Gathered, names, quote},
};

/// How deep elements may lie in each other: far more than libvirt's do.
const DEEPEST: usize = 32;

/// What may be said of an element.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    repeats: bool,
    holds_itself: bool,
    is_inert: bool,
    /// The feature that it needs.
    pub(crate) feature: Option<&'static str>,
    attributes: Vec<(&'static str, &'static str)>,
    text: Option<&'static str>,
}

/// What a document may say, by the elements' paths.
#[derive(Debug)]
pub(crate) struct Table(BTreeMap<String, Row>);

/// What the rules of a table mean.
pub(crate) trait Rules {
    /// Whether the value fits the rule; if not, what is allowed.
    fn fits(&self, rule: &str, value: &str) -> Result<(), String>;
}

impl Table {
    pub(crate) fn parse(lines: &'static str) -> Self {
        let mut table = BTreeMap::new();
        for line in lines.lines() {
            let (element, text) = match line.split_once(" : ") {
                Some((element, text)) => (element, Some(text.trim())),
                None => (line, None),
            };
            let mut words = element.split_whitespace();
            let Some(marked) = words.next() else { continue };
            let path = marked.trim_start_matches(['*', '^', '~']);
            let marks = marked.strip_suffix(path).unwrap_or_default();
            let mut row = Row {
                repeats: marks.contains('*'),
                holds_itself: marks.contains('^'),
                is_inert: marks.contains('~'),
                text,
                ..Row::default()
            };
            for word in words {
                match (word.strip_prefix('!'), word.split_once('=')) {
                    (Some(feature), _) => row.feature = Some(feature),
                    (None, Some(attribute)) => row.attributes.push(attribute),
                    (None, None) => {}
                }
            }
            for path in expand(path) {
                table.insert(path, row.clone());
            }
        }
        Self(table)
    }

    #[cfg(test)]
    pub(crate) fn rows(&self) -> &BTreeMap<String, Row> {
        &self.0
    }

    /// Panics if a row has no parent, or needs a feature that no policy can name.
    #[cfg(test)]
    pub(crate) fn expect_whole(&self) {
        for (path, row) in &self.0 {
            if let Some((parent, _)) = path.rsplit_once('/') {
                assert!(self.0.contains_key(parent), "{path}");
            }
            if let Some(feature) = row.feature {
                let policy = HostPolicy::parse(&format!("features = ['{feature}']"));
                assert!(policy.is_ok(), "{feature}");
            }
        }
    }

    /// Holds a document against the table.
    pub(crate) fn hold(
        &self,
        document: &Document<'_>,
        policy: &HostPolicy,
        rules: &dyn Rules,
        found: &mut Gathered,
    ) {
        let mut walk = Walk {
            table: &self.0,
            policy,
            rules,
            found,
        };
        walk.at(document.root_element(), "", 0);
    }
}

/// The paths that a path with names in braces stands for.
fn expand(path: &str) -> Vec<String> {
    let parts = path.split_once('{').and_then(|(before, rest)| {
        let (names, after) = rest.split_once('}')?;
        Some((before, names, after))
    });
    let Some((before, names, after)) = parts else {
        return vec![path.to_owned()];
    };
    let one = |name| expand(&format!("{before}{name}{after}"));
    names.split(',').flat_map(one).collect()
}

struct Walk<'a> {
    table: &'a BTreeMap<String, Row>,
    policy: &'a HostPolicy,
    rules: &'a dyn Rules,
    found: &'a mut Gathered,
}

impl Walk<'_> {
    /// Looks at an element and all below.
    fn at(&mut self, node: Node<'_, '_>, above: &str, depth: usize) {
        let path = self.path(node, above);
        let Some(row) = self.table.get(&path).cloned() else {
            self.found.refuse(path, "this element is not allowed");
            return;
        };
        if depth > DEEPEST {
            let why = format!("more than {DEEPEST} elements lie in each other");
            self.found.refuse(path, why);
            return;
        }
        if let Some(feature) = row.feature {
            needs(self.policy, &path, feature, self.found);
        }
        self.attributes(node, &path, &row);
        if row.is_inert {
            return;
        }
        let texts = node
            .children()
            .filter(Node::is_text)
            .filter_map(|text| text.text());
        let text: String = texts.collect();
        match row.text {
            Some(rule) => self.value(&path, rule, &text),
            None if text.trim().is_empty() => {}
            None => self
                .found
                .refuse(&path, format!("text is not allowed here: {}", quote(&text))),
        }
        let elements: Vec<_> = node.children().filter(Node::is_element).collect();
        for (index, element) in elements.iter().enumerate() {
            let below = self.path(*element, &path);
            let repeats = self.table.get(&below).is_some_and(|row| row.repeats);
            let tag = element.tag_name();
            let mut before = elements.iter().take(index);
            if !repeats && before.any(|other| other.tag_name() == tag) {
                self.found.refuse(below, "this element is there twice");
            }
            self.at(*element, &path, depth + 1);
        }
    }

    fn path(&self, node: Node<'_, '_>, above: &str) -> String {
        let tag = node.tag_name();
        let name = tag.name();
        let itself = self.table.get(above).is_some_and(|row| row.holds_itself)
            && above.rsplit_once('/').is_some_and(|(_, last)| last == name);
        match tag.namespace() {
            None if itself => above.to_owned(),
            None if above.is_empty() => name.to_owned(),
            None => format!("{above}/{name}"),
            Some(METADATA_NAMESPACE) => format!("{above}/hv:{name}"),
            Some(namespace) => format!("{above}/{}:{name}", quote(namespace)),
        }
    }

    fn attributes(&mut self, node: Node<'_, '_>, path: &str, row: &Row) {
        for attribute in node.attributes() {
            let what = format!("{path} {}", attribute.name());
            let plain = attribute.namespace().is_none();
            let mut rules = row.attributes.iter();
            match rules.find(|(name, _)| plain && *name == attribute.name()) {
                Some((_, rule)) => self.value(&what, rule, attribute.value()),
                None => self.found.refuse(what, "this attribute is not allowed"),
            }
        }
    }

    fn value(&mut self, what: &str, rule: &str, value: &str) {
        if let Err(allowed) = self.rules.fits(rule, value) {
            let why = format!("{}; allowed: {allowed}", quote(value));
            self.found.refuse(what, why);
        }
    }
}

/// Refuses what needs a feature that the policy does not name.
pub(crate) fn needs(policy: &HostPolicy, what: &str, feature: &str, found: &mut Gathered) {
    if !has_feature(policy, feature) {
        found.refuse(what, format!("this needs feature {feature}"));
    }
}

pub(crate) fn has_feature(policy: &HostPolicy, name: &str) -> bool {
    let mut features = policy.features.iter();
    features.any(|feature| feature.as_str() == name)
}

/// The rules that every table knows.
pub(crate) fn fits(policy: &HostPolicy, rule: &str, value: &str) -> Result<(), String> {
    let (fits, allowed) = match rule {
        "@text" => return Ok(()),
        "@number" => (value.parse::<u64>().is_ok(), "a number".to_owned()),
        "@set" => {
            let plain = |c: char| c.is_ascii_digit() || matches!(c, ',' | '-' | '^');
            (value.chars().all(plain), "numbers and ranges".to_owned())
        }
        "@cpus" => {
            let most = policy.limits.vcpus.unwrap_or(u32::MAX);
            let fits = value
                .parse::<u64>()
                .is_ok_and(|count| count <= u64::from(most));
            (fits, most.to_string())
        }
        "@mac" => (
            value.parse::<MacAddress>().is_ok(),
            "a MAC address".to_owned(),
        ),
        "@network" => named(&policy.networks, value),
        "@bridge" => named(&policy.bridges, value),
        "@volume" => {
            let folders = names(policy.pools.iter().map(|pool| pool.path.display()));
            (
                policy.volume_at(value).is_some(),
                format!("a file in {folders}"),
            )
        }
        words => (
            words.split('|').any(|word| word == value),
            words.replace('|', ", "),
        ),
    };
    if fits { Ok(()) } else { Err(allowed) }
}

fn named<'a, T>(allowed: impl IntoIterator<Item = &'a T> + Copy, value: &str) -> (bool, String)
where
    T: std::fmt::Display + 'a,
{
    let mut each = allowed.into_iter();
    (each.any(|name| name.to_string() == value), names(allowed))
}

/// The first child of that name.
pub(crate) fn child<'a, 'd>(node: Node<'a, 'd>, name: &str) -> Option<Node<'a, 'd>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// The domain's devices of that kind; of each kind, if none is named.
pub(crate) fn devices<'a, 'd>(
    document: &'a Document<'d>,
) -> impl Iterator<Item = Node<'a, 'd>> + use<'a, 'd> {
    let sections = document.root_element().children();
    sections
        .filter(|section| section.has_tag_name("devices"))
        .flat_map(|section| section.children().filter(Node::is_element))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_braces_stand_for_one_line_each() {
        assert_eq!(
            expand("a/{b,c}/{d,e}"),
            ["a/b/d", "a/b/e", "a/c/d", "a/c/e"]
        );
        assert_eq!(expand("a/b"), ["a/b"]);
    }

    fn faults(lines: &'static str, xml: &str) -> String {
        struct Plain(HostPolicy);
        impl Rules for Plain {
            fn fits(&self, rule: &str, value: &str) -> Result<(), String> {
                fits(&self.0, rule, value)
            }
        }
        let mut found = Gathered::default();
        let (policy, document) = (HostPolicy::default(), Document::parse(xml).unwrap());
        let rules = Plain(HostPolicy::default());
        Table::parse(lines).hold(&document, &policy, &rules, &mut found);
        found.verdict().err().map_or_else(String::new, |refusals| {
            let each: Vec<_> = refusals.iter().map(ToString::to_string).collect();
            each.join("\n")
        })
    }

    #[test]
    fn what_may_hold_itself_is_followed_down_to_a_depth_and_what_is_inert_is_not() {
        let lines = "a\n^a/b x=1\n~a/c";
        assert_eq!(
            faults(lines, "<a><b x='1'><b><b/></b></b><c><d/></c></a>"),
            ""
        );
        assert_eq!(
            faults(lines, "<a><b><b x='2'/></b></a>"),
            "a/b x: \"2\"; allowed: 1"
        );
        let deep = format!("<a>{}{}</a>", "<b>".repeat(40), "</b>".repeat(40));
        assert!(faults(lines, &deep).contains("lie in each other"));
    }

    #[test]
    fn a_namespace_that_is_not_ours_never_passes_as_no_namespace() {
        let told = faults("a\na/b", "<a><b xmlns='urn:&#10;x'/></a>");
        assert_eq!(told, "a/\"urn:\\nx\":b: this element is not allowed");
    }
}
