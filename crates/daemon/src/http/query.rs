// SPDX-License-Identifier: GPL-3.0-or-later
//! What stands behind the question mark: every fault is told at once, unknown parameters too.

use std::time::Duration;

use axum::{extract::FromRequestParts, http::request::Parts};
use hv_model::{
    document::{self, Fault},
    problem::ProblemKind,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// The longest time that a request may wait for an operation's end.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        read(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    let mut given = Map::new();
    let mut faults = Vec::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        if given
            .insert(name.to_string(), Value::String(value.into_owned()))
            .is_some()
        {
            faults.push(Fault::new(name, "is given twice"));
        }
    }
    let faults = match document::read_value::<T>(&Value::Object(given)) {
        Ok(query) if faults.is_empty() => return Ok(query.value),
        Ok(_) => faults,
        Err(found) => faults.into_iter().chain(found).collect(),
    };
    Err(Refusal::with_faults(
        ProblemKind::BadRequest,
        "address",
        faults,
    ))
}

/// No parameters at all.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NoParameters {}

/// How long a change may be waited for.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangeQuery {
    /// Wait so long for the operation's end before answering: `30s`, at most `300s`. The answer
    /// is 200 if the operation is over by then, else 202.
    #[param(value_type = Option<String>, example = "30s")]
    pub(super) wait: Option<Wait>,
}

/// How long a change may be waited for, or whether it is only to be planned.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PlanQuery {
    /// Wait so long for the operation's end before answering: `30s`, at most `300s`. The answer
    /// is 200 if the operation is over by then, else 202.
    #[param(value_type = Option<String>, example = "30s")]
    pub(super) wait: Option<Wait>,
    /// `true`: change nothing, and answer with the plan of what would change.
    #[param(value_type = Option<bool>)]
    pub(super) dry_run: Flag,
}

/// A time to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Wait(pub(super) Duration);

impl TryFrom<String> for Wait {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let end = text
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = match unit {
            "ms" => Some(1),
            "" | "s" => Some(1_000),
            "m" => Some(60_000),
            _ => None,
        };
        let time = number.parse::<u64>().ok().zip(unit);
        time.and_then(|(number, unit)| number.checked_mul(unit))
            .map(Duration::from_millis)
            .filter(|time| *time <= LONGEST_WAIT)
            .map(Self)
            .ok_or_else(|| "is not a time to wait; allowed: 0s to 300s".to_owned())
    }
}

/// Yes or no.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Flag {
    /// No.
    #[default]
    #[serde(rename = "false")]
    No,
    /// Yes.
    #[serde(rename = "true")]
    Yes,
}

/// How many items to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Limit(pub(super) u32);

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<String> for Limit {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .ok()
            .filter(|limit| (1..=1_000).contains(limit))
            .map(Self)
            .ok_or_else(|| "is not a count of items; allowed: 1 to 1000".to_owned())
    }
}

/// A place in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Place(pub(super) u64);

impl TryFrom<String> for Place {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        // SQLite's numbers end there.
        text.parse()
            .ok()
            .filter(|place| i64::try_from(*place).is_ok())
            .map(Self)
            .ok_or_else(|| "is not a place in this list; allowed: what an answer gave".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults<T: DeserializeOwned>(text: &str) -> Vec<String> {
        match read::<T>(text) {
            Ok(_) => Vec::new(),
            Err(refusal) => refusal
                .problem()
                .faults
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }

    #[test]
    fn every_fault_of_an_address_is_told_at_once() {
        let faults = faults::<PlanQuery>("wiat=1s&dry_run=maybe&wait=9h&wait=9h");
        insta::assert_snapshot!(faults.join("\n"), @r#"
        wait: is given twice
        wiat: is not a known key (nearest: wait); allowed: wait, dry_run
        dry_run: "maybe" is not one of the allowed words; allowed: false, true
        wait: "9h" is not a time to wait; allowed: 0s to 300s
        "#);
    }

    #[test]
    fn times_to_wait_have_units() {
        for (text, milliseconds) in [
            ("1500ms", 1_500),
            ("30", 30_000),
            ("30s", 30_000),
            ("5m", 300_000),
        ] {
            let wait = Wait::try_from(text.to_owned()).unwrap();
            assert_eq!(wait.0, Duration::from_millis(milliseconds), "{text}");
        }
        for bad in [
            "",
            "s",
            "301s",
            "6m",
            "-1s",
            "1h",
            "99999999999999999999s",
            "18446744073709551615m",
        ] {
            assert!(Wait::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_and_places_are_bounded() {
        for bad in ["0", "1001", "-1", "x", ""] {
            assert!(Limit::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(Place::try_from("9223372036854775808".to_owned()).is_err());
    }
}
