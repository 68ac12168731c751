// SPDX-License-Identifier: GPL-3.0-or-later
//! Reads XML and remembers what was read, so that what was not can be told.

use std::collections::HashSet;

use roxmltree::{Node, NodeId};

/// A domain's XML while it is read.
pub(super) struct Reader<'a, 'd> {
    root: Node<'a, 'd>,
    elements: HashSet<NodeId>,
    attributes: HashSet<(NodeId, &'d str)>,
    texts: HashSet<NodeId>,
    obstacles: Vec<String>,
}

impl<'a, 'd> Reader<'a, 'd>
where
    'a: 'd,
{
    pub(super) fn new(root: Node<'a, 'd>) -> Self {
        Self {
            root,
            elements: HashSet::from([root.id()]),
            attributes: HashSet::new(),
            texts: HashSet::new(),
            obstacles: Vec::new(),
        }
    }

    /// The outermost element.
    pub(super) fn root(&self) -> Node<'a, 'd> {
        self.root
    }

    /// Something that a spec can't say.
    pub(super) fn refuse(&mut self, node: Node<'_, '_>, why: impl AsRef<str>) {
        // XML may hold DEL and the control characters beyond ASCII, which terminals obey.
        let why = why.as_ref().replace(char::is_control, "?");
        self.obstacles.push(format!("{}: {why}", path(node)));
    }

    /// The elements of this name in an element.
    pub(super) fn children(&mut self, node: Node<'a, 'd>, name: &str) -> Vec<Node<'a, 'd>> {
        let found: Vec<_> = node
            .children()
            .filter(|child| child.is_element() && child.tag_name().name() == name)
            .filter(|child| child.tag_name().namespace().is_none())
            .collect();
        self.elements.extend(found.iter().map(Node::id));
        found
    }

    /// The one element of this name in an element; more than one are an obstacle.
    pub(super) fn child(&mut self, node: Node<'a, 'd>, name: &str) -> Option<Node<'a, 'd>> {
        let found = self.children(node, name);
        if let Some(second) = found.get(1) {
            self.refuse(*second, "a spec can say only one");
        }
        found.first().copied()
    }

    /// The element at the end of a path of names from the root.
    pub(super) fn at(&mut self, path: &str) -> Option<Node<'a, 'd>> {
        path.split('/')
            .try_fold(self.root, |node, name| self.child(node, name))
    }

    /// An attribute's value.
    pub(super) fn attribute(&mut self, node: Node<'a, 'd>, name: &'static str) -> Option<&'a str> {
        self.attributes.insert((node.id(), name));
        node.attribute(name)
    }

    /// Reads attributes that must have these values where they are there at all.
    pub(super) fn expect(&mut self, node: Node<'a, 'd>, allowed: &[(&'static str, &[&str])]) {
        for (name, values) in allowed {
            if let Some(value) = self.attribute(node, name)
                && !values.contains(&value)
            {
                self.refuse(node, format!("{name} is {}", quote(value)));
            }
        }
    }

    /// An element's text.
    pub(super) fn text(&mut self, node: Node<'a, 'd>) -> Option<&'a str> {
        self.texts.insert(node.id());
        node.text().map(str::trim)
    }

    /// The text at the end of a path of names from the root.
    pub(super) fn text_at(&mut self, path: &str) -> Option<&'a str> {
        let node = self.at(path)?;
        self.text(node)
    }

    /// Takes an element with all that is in it as libvirt's own bookkeeping.
    pub(super) fn pass_over(&mut self, node: Node<'a, 'd>) {
        for below in node.descendants().filter(Node::is_element) {
            self.elements.insert(below.id());
            self.texts.insert(below.id());
            let names: Vec<_> = below
                .attributes()
                .map(|attribute| attribute.name())
                .collect();
            self.attributes
                .extend(names.into_iter().map(|name| (below.id(), name)));
        }
    }

    /// Passes over the elements of these names in an element.
    pub(super) fn pass_over_in(&mut self, node: Node<'a, 'd>, names: &[&str]) {
        for name in names {
            for child in self.children(node, name) {
                self.pass_over(child);
            }
        }
    }

    /// What can't be said, and everything that was not read.
    pub(super) fn obstacles(mut self) -> Vec<String> {
        let mut unread = Vec::new();
        self.find_unread(self.root, &mut unread);
        self.obstacles.extend(unread);
        self.obstacles
    }

    fn find_unread(&self, node: Node<'a, 'd>, unread: &mut Vec<String>) {
        if !self.elements.contains(&node.id()) {
            unread.push(format!("{}: a spec can't say this", path(node)));
            return;
        }
        for attribute in node.attributes() {
            if !self.attributes.contains(&(node.id(), attribute.name())) {
                let (name, value) = (attribute.name(), quote(attribute.value()));
                unread.push(format!("{}: {name} is {value}", path(node)));
            }
        }
        let own: String = node
            .children()
            .filter(Node::is_text)
            .filter_map(|c| c.text())
            .collect();
        if !self.texts.contains(&node.id()) && !own.trim().is_empty() {
            unread.push(format!("{}: it says {}", path(node), quote(&own)));
        }
        for child in node.children().filter(Node::is_element) {
            self.find_unread(child, unread);
        }
    }
}

/// Where an element is, without the outermost one: `devices/disk`.
fn path(node: Node<'_, '_>) -> String {
    let mut names: Vec<_> = node
        .ancestors()
        .filter(Node::is_element)
        .map(|element| quote_name(element.tag_name().name()))
        .collect();
    names.pop();
    names.reverse();
    if names.is_empty() {
        "domain".to_owned()
    } else {
        names.join("/")
    }
}

fn quote_name(name: &str) -> String {
    name.chars().take(40).collect()
}

/// A value from elsewhere, short and on one line.
pub(super) fn quote(value: &str) -> String {
    let short: String = value.trim().chars().take(80).collect();
    format!("{short:?}")
}
