// SPDX-License-Identifier: GPL-3.0-or-later
//! How many connections each client has, so that none of them can take the room of all.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many connections each client has: a user of the host, or an address.
#[derive(Debug)]
pub(super) struct Crowd<C>(Mutex<HashMap<C, usize>>);

/// A connection's place among those of its client; free again when dropped.
#[derive(Debug)]
pub(super) struct Place<C: Copy + Eq + Hash> {
    crowd: Arc<Crowd<C>>,
    client: C,
}

impl<C: Copy + Eq + Hash> Crowd<C> {
    /// Nobody yet.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::default()))
    }

    /// A place for one more connection of this client, unless it has `most` of them.
    pub(super) fn enter(crowd: &Arc<Self>, client: C, most: Option<usize>) -> Option<Place<C>> {
        let mut counts = crowd.counts();
        let count = counts.entry(client).or_default();
        if most.is_some_and(|most| *count >= most) {
            return None;
        }
        *count += 1;
        drop(counts);
        let crowd = Arc::clone(crowd);
        Some(Place { crowd, client })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<C, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Copy + Eq + Hash> Drop for Place<C> {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        if let Some(count) = counts.get_mut(&self.client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_places_and_leaves_those_of_others_alone() {
        let crowd = Crowd::new();
        let enter = |client: u32| Crowd::enter(&crowd, client, Some(3));
        let mut places: Vec<_> = (0..3).map(|_| enter(1000).unwrap()).collect();
        assert!(enter(1000).is_none());
        assert!(enter(1001).is_some());
        places.pop();
        assert!(enter(1000).is_some());
        drop(places);
        assert!(crowd.counts().is_empty());
    }

    #[test]
    fn who_has_no_limit_is_always_let_in() {
        let crowd = Crowd::new();
        let places: Vec<_> = (0..500).map(|_| Crowd::enter(&crowd, 0, None)).collect();
        assert!(places.iter().all(Option::is_some));
    }
}
