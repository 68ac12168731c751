// SPDX-License-Identifier: GPL-3.0-or-later
//! Guessing costs: after the third failure each further one makes the next attempt wait longer.
//!
//! An attempt counts as failed from its beginning until it has succeeded, so that many at once get
//! no more tries than one after the other. Names that nobody has count like those that somebody
//! has. What is counted is held in memory, of bounded size.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use crate::clock::later;

/// How many failures cost nothing.
const FREE: u32 = 3;
/// How long the first one that costs makes wait.
const FIRST: Duration = Duration::from_secs(5);
/// How long one makes wait at most.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// How long after its wait a failure is remembered.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// How many names and addresses are remembered.
const AT_MOST: usize = 10_000;

/// Who tries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Name(String),
    Address(IpAddr),
}

/// How often somebody failed.
#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    /// Until when they wait.
    until: Timestamp,
}

/// Who failed how often.
#[derive(Debug, Default)]
pub(super) struct Lockout(Mutex<HashMap<Who, Failures>>);

/// An attempt that has begun, and counts as failed until it is said to be otherwise.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    lockout: &'a Lockout,
    name: Who,
    address: Option<Who>,
}

impl Lockout {
    /// Begins an attempt for this name from this address, or says how long to wait.
    pub(super) fn begin(
        &self,
        name: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Attempt<'_>, Duration> {
        let name = Who::Name(name.chars().take(64).collect());
        let address = address.map(|address| Who::Address(network(address)));
        let mut known = self.known();
        let wait = std::iter::once(&name)
            .chain(&address)
            .filter_map(|who| known.get(who))
            .filter_map(|failures| Duration::try_from(failures.until.duration_since(now)).ok())
            .max()
            .unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        for who in std::iter::once(&name).chain(&address) {
            make_room(&mut known, now);
            let failures = known.entry(who.clone()).or_insert(Failures {
                count: 0,
                until: now,
            });
            if later(failures.until, REMEMBERED) < now {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.until = later(now, wait_after(failures.count));
        }
        drop(known);
        Ok(Attempt {
            lockout: self,
            name,
            address,
        })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Who, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forgive(&self, who: &Who, now: Timestamp) {
        if let Some(failures) = self.known().get_mut(who) {
            failures.count = failures.count.saturating_sub(1);
            failures.until = now;
        }
    }
}

impl Attempt<'_> {
    /// It has succeeded: what the name failed before is forgotten. What the address failed for
    /// other names is not, or else who has one account could go on guessing at others.
    pub(super) fn succeeded(self, now: Timestamp) {
        self.lockout.known().remove(&self.name);
        if let Some(address) = &self.address {
            self.lockout.forgive(address, now);
        }
    }

    /// It was neither right nor wrong, and does not count.
    pub(super) fn withdrawn(self, now: Timestamp) {
        for who in std::iter::once(&self.name).chain(&self.address) {
            self.lockout.forgive(who, now);
        }
    }
}

fn wait_after(failures: u32) -> Duration {
    match failures.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(more) => FIRST
            .checked_mul(1_u32.checked_shl(more).unwrap_or(u32::MAX))
            .map_or(LONGEST, |wait| wait.min(LONGEST)),
    }
}

/// Who has an address of IPv6 has as a rule 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Forgets who need not be remembered, and if that is not enough, who waits the least.
fn make_room(known: &mut HashMap<Who, Failures>, now: Timestamp) {
    if known.len() < AT_MOST {
        return;
    }
    known.retain(|_, failures| later(failures.until, REMEMBERED) >= now);
    if known.len() < AT_MOST {
        return;
    }
    let mut waits: Vec<Timestamp> = known.values().map(|failures| failures.until).collect();
    waits.sort_unstable();
    if let Some(middle) = waits.get(AT_MOST / 10).copied() {
        known.retain(|_, failures| failures.until > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Fails as soon as it may, and tells how long it had to wait before each attempt.
    fn waits(lockout: &Lockout, name: &str, address: Option<IpAddr>, times: u32) -> Vec<u64> {
        let mut now = at(0);
        (0..times)
            .map(|_| {
                let wait = lockout.begin(name, address, now).err().unwrap_or_default();
                if !wait.is_zero() {
                    now = later(now, wait);
                    lockout.begin(name, address, now).unwrap();
                }
                wait.as_secs()
            })
            .collect()
    }

    #[test]
    fn from_the_fourth_failure_on_each_makes_the_next_wait_twice_as_long_up_to_a_quarter_hour() {
        let waits = waits(&Lockout::default(), "ada", None, 14);
        assert_eq!(
            waits,
            [0, 0, 0, 0, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
        );
    }

    #[test]
    fn many_names_from_one_address_wait_and_one_name_from_many_addresses_waits() {
        let lockout = Lockout::default();
        for place in 0..4 {
            lockout
                .begin(&format!("name{place}"), Some(address("192.0.2.1")), at(0))
                .unwrap();
        }
        assert!(
            lockout
                .begin("other", Some(address("192.0.2.1")), at(0))
                .is_err()
        );
        assert!(
            lockout
                .begin("other", Some(address("192.0.2.2")), at(0))
                .is_ok()
        );
        for place in 10..14 {
            let from = Some(address(&format!("192.0.2.{place}")));
            lockout.begin("ada", from, at(0)).unwrap();
        }
        assert!(
            lockout
                .begin("ada", Some(address("192.0.2.99")), at(0))
                .is_err()
        );
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_are_one() {
        let lockout = Lockout::default();
        for place in 0..4 {
            let from = Some(address(&format!("2001:db8::{place}")));
            lockout.begin(&format!("name{place}"), from, at(0)).unwrap();
        }
        assert!(
            lockout
                .begin("x", Some(address("2001:db8::ffff")), at(0))
                .is_err()
        );
        assert!(
            lockout
                .begin("x", Some(address("2001:db8:0:1::1")), at(0))
                .is_ok()
        );
    }

    #[test]
    fn who_succeeds_starts_anew_but_does_not_clear_their_address() {
        let lockout = Lockout::default();
        let from = Some(address("192.0.2.1"));
        for _ in 0..3 {
            lockout.begin("victim", from, at(0)).unwrap();
            lockout
                .begin("mallory", from, at(0))
                .unwrap()
                .succeeded(at(0));
        }
        lockout.begin("another", from, at(0)).unwrap();
        assert!(lockout.begin("mallory", from, at(0)).is_err());
        assert!(lockout.begin("mallory", None, at(0)).is_ok());
    }

    #[test]
    fn attempts_at_once_get_no_more_tries_than_one_after_the_other() {
        let lockout = Lockout::default();
        let begun = (0..100)
            .filter(|_| lockout.begin("ada", None, at(0)).is_ok())
            .count();
        assert_eq!(begun, 4);
    }

    #[test]
    fn what_was_neither_right_nor_wrong_does_not_count() {
        let lockout = Lockout::default();
        for _ in 0..100 {
            lockout.begin("ada", None, at(0)).unwrap().withdrawn(at(0));
        }
    }

    #[test]
    fn failures_are_forgotten_and_their_number_is_bounded() {
        let lockout = Lockout::default();
        for _ in 0..4 {
            lockout.begin("ada", None, at(0)).unwrap();
        }
        assert!(lockout.begin("ada", None, at(1)).is_err());
        for _ in 0..4 {
            lockout.begin("ada", None, at(5 + 901)).unwrap();
        }
        for place in 0..2 * AT_MOST {
            lockout
                .begin(&format!("name{place}"), None, at(907))
                .unwrap();
        }
        assert!(lockout.known().len() <= AT_MOST);
        assert!(
            lockout.begin("ada", None, at(907)).is_err(),
            "who waits is kept"
        );
    }
}
