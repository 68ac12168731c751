// SPDX-License-Identifier: GPL-3.0-or-later
//! Finding all faults with a reader that stops at the first.
//!
//! Each error takes out the node that caused it, and the document is read again. Three rules keep
//! follow-ups from being told as faults of their own:
//!
//! - A key that is missing because its value was taken out, or because it is written with a typing
//!   error that was told, is not told as missing.
//! - A group or list of which a part was taken out may then break a rule of its own (a sum, a
//!   least length): that is not told, and it is taken out too.
//! - For a key that is missing, guesses are put in, so that the other missing keys of the same
//!   group are found. No fault in or of a guess is told.

use serde::de::DeserializeOwned;

use super::{
    Fault, MAX_FAULTS, MAX_NODES,
    error::{Cause, Error, Found, Place},
    nearest::nearest,
    node::{Entry, Kind, Mark, Node},
    path::{self, Step},
    wording::{self, describe},
};

/// How often a document is read at most; a large one, which takes long, less often.
const MAX_ROUNDS: usize = 2000;
/// How many values may be read in all rounds together.
const MAX_VISITS: usize = 50 * MAX_NODES;

/// Texts that may fit where one is missing: a word, a number, a size, a duration, an address…
const TEXTS: [&str; 9] = [
    "x",
    "1",
    "1 GiB",
    "1s",
    "/x",
    "127.0.0.1",
    "52:54:00:00:00:01",
    "2000-01-01T00:00:00Z",
    "01890a5d-ac96-774b-bcce-b302099a8057",
];

/// Reads the tree, taking out what is at fault; a value comes only if something could be read.
pub(super) fn read<T: DeserializeOwned>(tree: &mut Node, faults: &mut Vec<Fault>) -> Option<T> {
    let size = touch(tree);
    if !tree.is_present() {
        return None;
    }
    for _ in 0..MAX_ROUNDS.min(MAX_VISITS / size.max(1)) {
        let error = match T::deserialize(&*tree) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let mut repair = Repair { tree, faults };
        if repair.repair(error).is_none() {
            break;
        }
        if faults.len() > MAX_FAULTS {
            break;
        }
    }
    None
}

/// Marks what holds something that was taken out; returns how many nodes there are.
fn touch(node: &mut Node) -> usize {
    let (mut size, mut touched) = (1, false);
    let mut index = 0;
    while let Some(child) = node.child_mut(index) {
        size += touch(child);
        touched |= child.mark != Mark::Whole;
        index += 1;
    }
    if touched && node.mark == Mark::Whole {
        node.mark = Mark::Touched;
    }
    size
}

struct Repair<'a> {
    tree: &'a mut Node,
    faults: &'a mut Vec<Fault>,
}

impl Repair<'_> {
    /// Tells the error, unless it is a follow-up, and changes the tree so that it does not come
    /// again. Nothing is returned when the document as a whole is at fault.
    fn repair(&mut self, error: Error) -> Option<()> {
        let (cause, mut trail, mut place) = error.into_parts();
        if let Cause::MissingKey(key) = &cause
            && let Some(done) = self.missing(key, &cause, &trail)
        {
            return Some(done);
        }
        if place == Place::Value
            && let Some(blamed) = blame(&cause, self.tree.at(&trail)?)
        {
            place = blamed.place;
            trail.extend(blamed.trail);
        }
        let node = self.tree.at(&trail)?;
        if let Mark::Guess(number) = node.mark {
            let next = guess(number, &cause, &node.kind);
            *self.tree.at_mut(&trail)? = next;
            return Some(());
        }
        if place == Place::Key || node.mark == Mark::Whole {
            self.tell(&cause, &trail, place);
        }
        let (_, around) = trail.split_last()?;
        self.tree.at_mut(&trail)?.mark = Mark::Removed;
        self.touch_along(around);
        Some(())
    }

    /// Puts a guess in for a missing key; nothing if that was tried or cannot be done.
    fn missing(&mut self, key: &str, cause: &Cause, trail: &[usize]) -> Option<()> {
        let node = self.tree.at(trail)?;
        let Kind::Map(entries) = &node.kind else {
            return None;
        };
        let same = |entry: &&Entry| entry.key == key;
        if entries
            .iter()
            .filter(same)
            .any(|entry| entry.node.mark != Mark::Removed)
        {
            return None;
        }
        // The key itself, or one that was told to be like it.
        let is_told = entries
            .iter()
            .filter(|entry| entry.node.mark == Mark::Removed)
            .any(|entry| entry.key == key || nearest(&entry.key, [key]).is_some());
        if !is_told && !matches!(node.mark, Mark::Guess(_)) {
            let mut steps = self.tree.steps(trail);
            steps.push(Step::Key(key.to_owned()));
            let what = describe(cause, node, Place::Value).what;
            self.faults
                .push(Fault::new(path::render(&steps), what).at(node.position));
        }
        let node = self.tree.at_mut(trail)?;
        if let Kind::Map(entries) = &mut node.kind {
            let guess = guess(0, cause, &Kind::Null);
            entries.push(Entry {
                key: key.to_owned(),
                position: None,
                node: guess,
            });
        }
        self.touch_along(trail);
        Some(())
    }

    fn tell(&mut self, cause: &Cause, trail: &[usize], place: Place) {
        let Some(node) = self.tree.at(trail) else {
            return;
        };
        let steps = self.tree.steps(trail);
        let mut words = describe(cause, node, place);
        let (mut value, position) = match place {
            Place::Key => (None, self.key_position(trail)),
            Place::Value => (node.shown(), node.position),
        };
        if path::is_secret(&steps) {
            value = None;
            words.hide(node);
        }
        let mut what = words.what;
        if trail.is_empty() && value.is_none() {
            what = format!("this document {what}");
        }
        let fault = Fault::new(path::render(&steps), what).at(position);
        self.faults.push(Fault {
            value,
            allowed: words.allowed,
            nearest: words.nearest,
            ..fault
        });
    }

    fn key_position(&self, trail: &[usize]) -> Option<super::Position> {
        let (index, around) = trail.split_last()?;
        match &self.tree.at(around)?.kind {
            Kind::Map(entries) => entries.get(*index)?.position,
            _ => None,
        }
    }

    fn touch_along(&mut self, trail: &[usize]) {
        for length in 0..=trail.len() {
            let part = trail.get(..length).and_then(|part| self.tree.at_mut(part));
            if let Some(node) = part.filter(|node| node.mark == Mark::Whole) {
                node.mark = Mark::Touched;
            }
        }
    }
}

/// The guess that follows a guess that did not fit.
fn guess(number: usize, cause: &Cause, last: &Kind) -> Node {
    let int = || Kind::Int {
        value: 1,
        text: "1".to_owned(),
    };
    let kind = match (cause, last) {
        (Cause::UnknownKey { .. }, _) => None,
        (
            Cause::UnknownVariant {
                known: [first, ..], ..
            },
            Kind::String(_),
        ) => Some(Kind::String((*first).to_owned())),
        (Cause::BareVariant(variant), Kind::String(_)) => {
            let node = guess(0, &Cause::Other(String::new()), &Kind::Null);
            Some(Kind::Map(vec![Entry {
                key: variant.clone(),
                position: None,
                node,
            }]))
        }
        _ => match number {
            0 => Some(int()),
            1 => Some(Kind::Map(Vec::new())),
            2 => Some(Kind::Seq(Vec::new())),
            3 => Some(Kind::Bool(true)),
            4 => Some(Kind::Null),
            _ => TEXTS
                .get(number - 5)
                .map(|text| Kind::String((*text).to_owned())),
        },
    };
    let mark = if kind.is_some() {
        Mark::Guess(number + 1)
    } else {
        Mark::Spent
    };
    Node {
        mark,
        ..Node::new(kind.unwrap_or(Kind::Null), None)
    }
}

struct Blamed {
    trail: Vec<usize>,
    place: Place,
}

/// The part of a group or list that an error is about, where serde has read it as a whole first,
/// as it does for `flatten` and for enums with a tag inside or none.
fn blame(cause: &Cause, node: &Node) -> Option<Blamed> {
    let found = match cause {
        Cause::UnknownKey { key, .. } => {
            let trail = search(node, &|name, _| name == Some(key.as_str()))?;
            return Some(Blamed {
                trail,
                place: Place::Key,
            });
        }
        Cause::UnknownVariant { variant, .. } | Cause::BareVariant(variant) => {
            Found::String(variant.clone())
        }
        Cause::Mismatch {
            found: Found::Other,
            ..
        } => return None,
        Cause::Mismatch { found, .. } => found.clone(),
        Cause::Other(message) => Found::String(wording::leading_value(message)?.0),
        _ => return None,
    };
    if node.holds(&found) {
        return None;
    }
    // A guess first: if it is blamed wrongly, the next one is another value.
    let guessed = |part: &Node| matches!(part.mark, Mark::Guess(_));
    let trail = search(node, &|_, part| guessed(part) && part.holds(&found))
        .or_else(|| search(node, &|_, part| part.holds(&found)))?;
    Some(Blamed {
        trail,
        place: Place::Value,
    })
}

/// The first part, with its key if it has one, that is it.
fn search(node: &Node, is_it: &dyn Fn(Option<&str>, &Node) -> bool) -> Option<Vec<usize>> {
    node.children()
        .enumerate()
        .filter(|(_, child)| child.is_present())
        .find_map(|(index, child)| {
            let key = match &node.kind {
                Kind::Map(entries) => entries.get(index).map(|entry| entry.key.as_str()),
                _ => None,
            };
            let mut trail = if is_it(key, child) {
                Vec::new()
            } else {
                search(child, is_it)?
            };
            trail.insert(0, index);
            Some(trail)
        })
}
