// SPDX-License-Identifier: GPL-3.0-or-later
//! The queue: which operations are not over, which of them have their turn.

use hv_model::id::OperationId;
use tokio::sync::watch;

use super::Lock;

/// Operations that are not over, in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Queue {
    entries: Vec<Entry>,
    at_once: usize,
    ended: bool,
}

#[derive(Debug)]
struct Entry {
    sequence: u64,
    id: OperationId,
    locks: Vec<Lock>,
    turn: Turn,
    cancelled: watch::Sender<bool>,
    over: watch::Sender<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Waiting,
    Running,
}

impl Queue {
    /// A queue from which so many operations run at once.
    pub(super) const fn new(at_once: usize) -> Self {
        Self {
            entries: Vec::new(),
            at_once,
            ended: false,
        }
    }

    /// Adds an operation.
    pub(super) fn push(&mut self, sequence: u64, id: OperationId, locks: Vec<Lock>) {
        let place = self
            .entries
            .partition_point(|entry| entry.sequence < sequence);
        let (cancelled, over) = (watch::Sender::new(false), watch::Sender::new(false));
        let turn = Turn::Waiting;
        self.entries.insert(
            place,
            Entry {
                sequence,
                id,
                locks,
                turn,
                cancelled,
                over,
            },
        );
    }

    /// Takes the operations whose turn it is: those that conflict with none that was asked for
    /// earlier, as many as may run. A cancelled one that waits has its turn at once, to end.
    pub(super) fn take_ready(&mut self) -> Vec<(OperationId, watch::Receiver<bool>)> {
        if self.ended {
            return Vec::new();
        }
        let running = self
            .entries
            .iter()
            .filter(|entry| entry.turn == Turn::Running)
            .count();
        let mut free = self.at_once.saturating_sub(running);
        let mut held: Vec<Lock> = Vec::new();
        let mut ready = Vec::new();
        for entry in &mut self.entries {
            let blocked = entry
                .locks
                .iter()
                .any(|lock| held.iter().any(|other| other.conflicts(lock)));
            let cancelled = *entry.cancelled.borrow();
            held.extend(entry.locks.iter().cloned());
            if entry.turn == Turn::Waiting && (cancelled || (!blocked && free > 0)) {
                entry.turn = Turn::Running;
                free = free.saturating_sub(1);
                ready.push((entry.id, entry.cancelled.subscribe()));
            }
        }
        ready
    }

    /// Tells an operation to stop.
    pub(super) fn cancel(&self, id: OperationId) {
        if let Some(entry) = self.entries.iter().find(|entry| entry.id == id) {
            entry.cancelled.send_replace(true);
        }
    }

    /// An operation is over: its locks are free.
    pub(super) fn remove(&mut self, id: OperationId) {
        self.entries.retain(|entry| {
            if entry.id == id {
                entry.over.send_replace(true);
            }
            entry.id != id
        });
    }

    /// What tells that an operation is over; `None`, if it is not in the queue.
    pub(super) fn over(&self, id: OperationId) -> Option<watch::Receiver<bool>> {
        self.entries
            .iter()
            .find(|entry| entry.id == id)
            .map(|entry| entry.over.subscribe())
    }

    /// What tells that an operation is to stop, and what tells that it is over; `None`, if it is
    /// not in the queue.
    pub(super) fn told(
        &self,
        id: OperationId,
    ) -> Option<(watch::Receiver<bool>, watch::Receiver<bool>)> {
        let entry = self.entries.iter().find(|entry| entry.id == id)?;
        Some((entry.cancelled.subscribe(), entry.over.subscribe()))
    }

    /// Gives nobody a turn any more.
    pub(super) const fn end(&mut self) {
        self.ended = true;
    }

    /// Whether nobody gets a turn any more.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use hv_model::id::VmId;
    use uuid::Uuid;

    use super::*;

    fn operation(number: u128) -> OperationId {
        OperationId::new(Uuid::from_u128(number))
    }

    fn vm(number: u128) -> Vec<Lock> {
        vec![Lock::vm(VmId::new(Uuid::from_u128(number)))]
    }

    fn ready(queue: &mut Queue) -> Vec<OperationId> {
        queue.take_ready().into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn one_vm_has_one_operation_at_a_time_in_the_order_of_asking() {
        let mut queue = Queue::new(8);
        queue.push(2, operation(2), vm(1));
        queue.push(1, operation(1), vm(1));
        queue.push(3, operation(3), vm(2));
        assert_eq!(ready(&mut queue), [operation(1), operation(3)]);
        assert_eq!(ready(&mut queue), []);
        queue.remove(operation(1));
        assert_eq!(ready(&mut queue), [operation(2)]);
    }

    #[test]
    fn no_more_run_than_may() {
        let mut queue = Queue::new(1);
        queue.push(1, operation(1), vm(1));
        queue.push(2, operation(2), vm(2));
        assert_eq!(ready(&mut queue), [operation(1)]);
        queue.remove(operation(1));
        assert_eq!(ready(&mut queue), [operation(2)]);
    }

    #[test]
    fn a_cancelled_one_that_waits_has_its_turn_to_end() {
        let mut queue = Queue::new(1);
        queue.push(1, operation(1), vm(1));
        queue.push(2, operation(2), vm(1));
        assert_eq!(ready(&mut queue), [operation(1)]);
        queue.cancel(operation(2));
        assert_eq!(ready(&mut queue), [operation(2)]);
    }

    #[test]
    fn whoever_waits_is_told_that_it_is_over() {
        let mut queue = Queue::new(1);
        queue.push(1, operation(1), vm(1));
        let over = queue.over(operation(1)).unwrap();
        queue.remove(operation(1));
        assert!(*over.borrow());
        assert!(queue.over(operation(1)).is_none());
    }
}
