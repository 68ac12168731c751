// SPDX-License-Identifier: GPL-3.0-or-later
//! How checks say what they saw.

use hv_model::security::FindingResult;

use super::{Answer, Observation, Unreadable};

/// How many pieces of evidence are kept.
const MOST: usize = 50;

#[expect(
    clippy::unnecessary_wraps,
    reason = "checks end with it, and what they read can fail"
)]
fn answer(result: FindingResult, observed: impl Into<String>) -> Answer {
    Ok(Observation {
        result,
        observed: observed.into(),
        evidence: Vec::new(),
    })
}

/// It is as it should be.
pub(super) fn pass(observed: impl Into<String>) -> Answer {
    answer(FindingResult::Pass, observed)
}

/// It is not.
pub(super) fn fail(observed: impl Into<String>) -> Answer {
    answer(FindingResult::Fail, observed)
}

/// It is so in part.
pub(super) fn warn(observed: impl Into<String>) -> Answer {
    answer(FindingResult::Warn, observed)
}

/// There is nothing that it could be asked of.
pub(super) fn not_applicable(observed: impl Into<String>) -> Answer {
    answer(FindingResult::NotApplicable, observed)
}

/// It could not be looked at.
pub(super) fn unknown(observed: impl Into<String>) -> Answer {
    answer(FindingResult::Unknown, observed)
}

/// The same answer with where it was seen.
pub(super) fn seen(answer: Answer, evidence: impl IntoIterator<Item = String>) -> Answer {
    let mut observation = answer?;
    let mut evidence = evidence.into_iter();
    observation.evidence.extend(evidence.by_ref().take(MOST));
    let more = evidence.count();
    if more > 0 {
        observation.evidence.push(format!("and {more} more"));
    }
    Ok(observation)
}

/// What is not as it should be, gathered over many things of one kind.
///
/// One offender is enough to fail. Without any, something that could not be read makes the whole
/// unknown.
#[derive(Debug, Default)]
pub(super) struct Offenders {
    looked_at: usize,
    found: Vec<String>,
    unread: Option<Unreadable>,
}

impl Offenders {
    /// Those of a list.
    pub(super) fn of(found: impl IntoIterator<Item = String>) -> Self {
        Self {
            found: found.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Looks at one more thing: what is wrong with it, if something is.
    pub(super) fn look(&mut self, wrong: Result<Option<String>, Unreadable>) {
        match wrong {
            Ok(wrong) => {
                self.looked_at += 1;
                self.found.extend(wrong);
            }
            Err(why) => {
                self.unread.get_or_insert(why);
            }
        }
    }

    /// The same for a process, of which nothing is left to read if it ended meanwhile.
    pub(super) fn look_at_process(&mut self, wrong: Result<Option<String>, Unreadable>) {
        self.look(match wrong {
            Err(Unreadable::Missing(_)) => Ok(None),
            other => other,
        });
    }

    /// Whether there was nothing to look at.
    pub(super) const fn saw_nothing(&self) -> bool {
        self.looked_at == 0 && self.unread.is_none()
    }

    /// The answer: what is said if all is well, and if it is not.
    pub(super) fn answer(self, well: impl Into<String>, bad: impl Into<String>) -> Answer {
        if !self.found.is_empty() {
            return seen(fail(bad), self.found);
        }
        match self.unread {
            Some(why) => Err(why),
            None => pass(well),
        }
    }
}
