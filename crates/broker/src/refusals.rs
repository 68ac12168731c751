// SPDX-License-Identifier: GPL-3.0-or-later
//! What the guard refused, told as facts.
//!
//! The guard runs as libvirt's hook, for a moment, and leaves what it refused in a folder that only
//! root writes. It is looked at every second, which costs a system call, and read only while
//! somebody listens, so that nothing is lost while `hvd` restarts.

use std::{
    io,
    path::Path,
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use hv_guard::spool::Reader;
use hv_model::hypervisor::Fact;

use crate::facts::Hub;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tells what is added to the folder from now on, as long as there is a hub.
pub(crate) fn tell(folder: &Path, hub: &Arc<Hub>) -> io::Result<()> {
    let mut reader = Reader::from_now(folder);
    let hub = Arc::downgrade(hub);
    let work = move || {
        let mut told = String::new();
        while look(&mut reader, &hub, &mut told) {
            thread::sleep(LOOK_EVERY);
        }
    };
    thread::Builder::new()
        .name("refusals".to_owned())
        .spawn(work)
        .map(drop)
}

/// Looks once; whether to look again. A fault is told when it is a new one.
fn look(reader: &mut Reader, hub: &Weak<Hub>, told: &mut String) -> bool {
    let Some(hub) = hub.upgrade() else {
        return false;
    };
    if !hub.is_heard() {
        return true;
    }
    match reader.read() {
        Ok(refusals) => {
            told.clear();
            for refusal in refusals {
                tracing::warn!(
                    vm = refusal.name,
                    operation = refusal.operation,
                    "the guard refused"
                );
                hub.push(&Fact::Refused(refusal));
            }
        }
        Err(error) => {
            let error = error.to_string();
            if error != *told {
                tracing::warn!(error, "what the guard refuses can't be read");
                *told = error;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use hv_guard::spool;
    use hv_model::refusal::{GuardEffect, GuardRefusal};

    use super::*;

    fn refusal(name: &str) -> GuardRefusal {
        GuardRefusal {
            time: "2026-01-02T03:04:05Z".parse().unwrap(),
            name: name.to_owned(),
            id: None,
            operation: "prepare".to_owned(),
            effect: GuardEffect::Refused,
            reasons: Vec::new(),
        }
    }

    #[test]
    fn a_refusal_waits_until_somebody_listens_and_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let hub = Arc::new(Hub::default());
        let weak = Arc::downgrade(&hub);
        let mut reader = Reader::from_now(folder.path());
        let mut told = String::new();
        spool::add(folder.path(), &refusal("a")).unwrap();
        assert!(look(&mut reader, &weak, &mut told));

        let facts = hub.subscribe();
        assert!(look(&mut reader, &weak, &mut told));
        assert_eq!(facts.try_recv(), Ok(Fact::Refused(refusal("a"))));
        assert!(look(&mut reader, &weak, &mut told));
        assert!(facts.try_recv().is_err());
        drop(hub);
        assert!(!look(&mut reader, &weak, &mut told));
    }
}
