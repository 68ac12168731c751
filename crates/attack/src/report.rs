// SPDX-License-Identifier: GPL-3.0-or-later
//! What came of the suite.

use serde::{Deserialize, Serialize};

use crate::{Actor, Attempt, Layer, Off, Outcome};

/// What came of the suite.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Every attempt, in the order in which they were made.
    pub attempts: Vec<Tried>,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Its name.
    pub name: String,
    /// Who tried it.
    pub actor: Actor,
    /// What was tried.
    pub goal: String,
    /// What success would have looked like.
    pub success: String,
    /// The layer that must stop it.
    pub layer: Layer,
    /// What is switched off where it is shown to work.
    pub off: Vec<Off>,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Tried {
    pub(crate) fn new(attempt: &Attempt, actor: Actor, outcome: Outcome) -> Self {
        Self {
            name: attempt.name.to_owned(),
            actor,
            goal: attempt.goal.to_owned(),
            success: attempt.success.to_owned(),
            layer: attempt.layer,
            off: attempt.off.to_vec(),
            outcome,
        }
    }
}

impl Report {
    /// How many were stopped.
    pub fn stopped(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Stopped { .. }))
    }

    /// How many succeeded.
    pub fn succeeded(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Succeeded { .. }))
    }

    /// How many could not be carried out.
    pub fn not_tried(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::NotTried { .. }))
    }

    fn count(&self, wanted: impl Fn(&Outcome) -> bool) -> usize {
        let tried = self.attempts.iter();
        tried.filter(|tried| wanted(&tried.outcome)).count()
    }
}
