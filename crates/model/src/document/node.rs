// SPDX-License-Identifier: GPL-3.0-or-later
//! A document as a tree whose nodes know where they stand.

use super::{Fault, MAX_DEPTH, MAX_NODES, Position, path, path::Step, wording::quoted};

/// One value, list or group of a document.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Where it begins; a list, a group or nothing behind a key stands where its key does.
    pub(super) position: Option<Position>,
    pub(super) mark: Mark,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    /// A whole number and how it is written.
    Int {
        value: i128,
        text: String,
    },
    /// Any other number and how it is written.
    Float {
        value: f64,
        text: String,
    },
    String(String),
    Seq(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a group with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) position: Option<Position>,
    pub(super) node: Node,
}

/// What the search for faults did to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// As it was written.
    Whole,
    /// Something in it was taken out or put in.
    Touched,
    /// Taken out, since its fault is told.
    Removed,
    /// Put in for something that is missing, to find what else is; which guess it is.
    Guess(usize),
    /// Put in, and taken out since no guess fits.
    Spent,
}

impl Node {
    pub(super) fn new(kind: Kind, position: Option<Position>) -> Self {
        Self {
            kind,
            position,
            mark: Mark::Whole,
        }
    }

    /// A node whose fault is told already.
    pub(super) fn removed(position: Option<Position>) -> Self {
        Self {
            kind: Kind::Null,
            position,
            mark: Mark::Removed,
        }
    }

    /// Whether it is there to be read.
    pub(super) fn is_present(&self) -> bool {
        !matches!(self.mark, Mark::Removed | Mark::Spent)
    }

    /// The parts of a list or group.
    pub(super) fn children(&self) -> Box<dyn Iterator<Item = &Node> + '_> {
        match &self.kind {
            Kind::Seq(nodes) => Box::new(nodes.iter()),
            Kind::Map(entries) => Box::new(entries.iter().map(|entry| &entry.node)),
            _ => Box::new(std::iter::empty()),
        }
    }

    pub(super) fn child(&self, index: usize) -> Option<&Node> {
        match &self.kind {
            Kind::Seq(nodes) => nodes.get(index),
            Kind::Map(entries) => entries.get(index).map(|entry| &entry.node),
            _ => None,
        }
    }

    pub(super) fn child_mut(&mut self, index: usize) -> Option<&mut Node> {
        match &mut self.kind {
            Kind::Seq(nodes) => nodes.get_mut(index),
            Kind::Map(entries) => entries.get_mut(index).map(|entry| &mut entry.node),
            _ => None,
        }
    }

    /// The node that the child indices lead to.
    pub(super) fn at(&self, trail: &[usize]) -> Option<&Node> {
        trail
            .iter()
            .try_fold(self, |node, index| node.child(*index))
    }

    /// The node that the child indices lead to.
    pub(super) fn at_mut(&mut self, trail: &[usize]) -> Option<&mut Node> {
        trail
            .iter()
            .try_fold(self, |node, index| node.child_mut(*index))
    }

    /// The steps that child indices stand for.
    pub(super) fn steps(&self, trail: &[usize]) -> Vec<Step> {
        let mut node = Some(self);
        let mut steps = Vec::with_capacity(trail.len());
        for index in trail {
            match node.map(|node| &node.kind) {
                Some(Kind::Map(entries)) => {
                    steps.extend(
                        entries
                            .get(*index)
                            .map(|entry| Step::Key(entry.key.clone())),
                    );
                }
                _ => steps.push(Step::Index(*index)),
            }
            node = node.and_then(|node| node.child(*index));
        }
        steps
    }

    /// The node that the steps lead to, or the innermost around it, and how many steps were taken.
    pub(super) fn nearest_to(&self, steps: &[Step]) -> (&Node, usize) {
        let mut node = self;
        for (taken, step) in steps.iter().enumerate() {
            let next = match (&node.kind, step) {
                (Kind::Seq(nodes), Step::Index(index)) => nodes.get(*index),
                (Kind::Map(entries), Step::Key(key)) => entries
                    .iter()
                    .find(|entry| entry.key == *key)
                    .map(|entry| &entry.node),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => return (node, taken),
            }
        }
        (node, steps.len())
    }

    /// A single value as it would be written, shortened and printable.
    pub(super) fn shown(&self) -> Option<String> {
        match &self.kind {
            Kind::Bool(value) => Some(value.to_string()),
            Kind::Int { text, .. } | Kind::Float { text, .. } => {
                Some(super::wording::shortened(text))
            }
            Kind::String(text) => Some(quoted(text)),
            Kind::Null | Kind::Seq(_) | Kind::Map(_) => None,
        }
    }
}

/// A document that is being built, with the faults that were seen on the way.
#[derive(Debug, Default)]
pub(super) struct Draft {
    faults: Vec<Fault>,
    steps: Vec<Step>,
    nodes: usize,
}

impl Draft {
    /// Notes a fault of the part that is being built.
    pub(super) fn fault(
        &mut self,
        position: Option<Position>,
        fault: impl FnOnce(String) -> Fault,
    ) {
        self.faults
            .push(fault(path::render(&self.steps)).at(position));
    }

    /// Builds a part, unless the document is too deep or too large.
    pub(super) fn within(
        &mut self,
        step: Step,
        position: Option<Position>,
        build: impl FnOnce(&mut Self) -> Option<Node>,
    ) -> Option<Node> {
        self.steps.push(step);
        self.nodes += 1;
        let limit = if self.steps.len() > MAX_DEPTH {
            Some(("is nested too deeply", format!("{MAX_DEPTH} levels")))
        } else if self.nodes > MAX_NODES {
            Some(("is one value too many", format!("{MAX_NODES} values")))
        } else {
            None
        };
        let node = if let Some((what, most)) = limit {
            self.faults.push(
                Fault::new("", what)
                    .allowed(format!("at most {most}"))
                    .at(position),
            );
            None
        } else {
            build(self)
        };
        self.steps.pop();
        node
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }
}

/// A group that is being built.
#[derive(Debug, Default)]
pub(super) struct Group {
    entries: Vec<Entry>,
    /// Which entry has a key.
    known: std::collections::HashMap<String, usize>,
}

impl Group {
    /// Adds an entry; a key that was there before is a fault, and its second value is left out.
    pub(super) fn add(
        &mut self,
        draft: &mut Draft,
        key: String,
        position: Option<Position>,
        mut node: Node,
    ) {
        if let Some(first) = self
            .known
            .get(&key)
            .and_then(|index| self.entries.get(*index))
        {
            let before = first.position.map_or_else(String::new, |first| {
                format!("; the first is in line {}", first.line)
            });
            draft.steps.push(Step::Key(key));
            draft.fault(position, |path| {
                Fault::new(path, format!("is given twice{before}"))
            });
            draft.steps.pop();
            return;
        }
        if matches!(node.kind, Kind::Null | Kind::Seq(_) | Kind::Map(_)) {
            node.position = position;
        }
        self.known.insert(key.clone(), self.entries.len());
        self.entries.push(Entry {
            key,
            position,
            node,
        });
    }

    pub(super) fn into_node(self, position: Option<Position>) -> Node {
        Node::new(Kind::Map(self.entries), position)
    }
}
