// SPDX-License-Identifier: GPL-3.0-or-later
//! The job that a domain is busy with, such as a save, and how far it is.

use std::ffi::{CStr, c_int};

use virt_sys as sys;

use super::Domain;
use crate::codes::code_enum;
use crate::error::{Result, done};
use crate::typed_parameter::{Parameters, Value};

code_enum! {
    /// How a job stands.
    pub enum JobKind {
        /// There is none.
        None = VIR_DOMAIN_JOB_NONE,
        /// It runs, and its length is known.
        Bounded = VIR_DOMAIN_JOB_BOUNDED,
        /// It runs, and its length is not known.
        Unbounded = VIR_DOMAIN_JOB_UNBOUNDED,
        /// It is complete.
        Completed = VIR_DOMAIN_JOB_COMPLETED,
        /// It failed.
        Failed = VIR_DOMAIN_JOB_FAILED,
        /// It was stopped.
        Cancelled = VIR_DOMAIN_JOB_CANCELLED,
    }
}

code_enum! {
    /// What a job does.
    pub enum JobOperation {
        /// libvirt does not say.
        NotGiven = VIR_DOMAIN_JOB_OPERATION_UNKNOWN,
        /// Starting.
        Start = VIR_DOMAIN_JOB_OPERATION_START,
        /// Saving to a file.
        Save = VIR_DOMAIN_JOB_OPERATION_SAVE,
        /// Restoring from a file.
        Restore = VIR_DOMAIN_JOB_OPERATION_RESTORE,
        /// Coming from another host.
        MigrationIn = VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN,
        /// Moving to another host.
        MigrationOut = VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT,
        /// Making a snapshot.
        Snapshot = VIR_DOMAIN_JOB_OPERATION_SNAPSHOT,
        /// Going back to a snapshot.
        SnapshotRevert = VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_REVERT,
        /// Dumping the memory.
        Dump = VIR_DOMAIN_JOB_OPERATION_DUMP,
        /// A backup.
        Backup = VIR_DOMAIN_JOB_OPERATION_BACKUP,
        /// Deleting a snapshot.
        SnapshotDelete = VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_DELETE,
    }
}

/// How far a job is; what libvirt does not know is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobStats {
    /// What the job does.
    pub operation: Option<JobOperation>,
    /// How long it runs, in milliseconds.
    pub elapsed_milliseconds: Option<u64>,
    /// How long it will still run, in milliseconds.
    pub remaining_milliseconds: Option<u64>,
    /// Bytes to move in all, memory and disks together.
    pub data_total: Option<u64>,
    /// Bytes moved.
    pub data_processed: Option<u64>,
    /// Bytes still to move; grows again while a guest writes.
    pub data_remaining: Option<u64>,
    /// Bytes of memory to move in all.
    pub memory_total: Option<u64>,
    /// Bytes of memory moved.
    pub memory_processed: Option<u64>,
    /// Bytes of memory still to move.
    pub memory_remaining: Option<u64>,
    /// Bytes of disks to move in all.
    pub disk_total: Option<u64>,
    /// Bytes of disks moved.
    pub disk_processed: Option<u64>,
    /// Bytes of disks still to move.
    pub disk_remaining: Option<u64>,
    /// Whether a job that ended did what it was to do.
    pub success: Option<bool>,
    /// Why it failed.
    pub error: Option<String>,
}

impl JobStats {
    /// Takes in one of libvirt's parameters; leaves out what is not shown here.
    pub(crate) fn take(&mut self, name: &str, value: Value) {
        if is(name, sys::VIR_DOMAIN_JOB_OPERATION) {
            self.operation = value.code().map(JobOperation::from);
        } else if is(name, sys::VIR_DOMAIN_JOB_SUCCESS) {
            self.success = value.boolean();
        } else if is(name, sys::VIR_DOMAIN_JOB_ERRMSG) {
            self.error = value.text();
        } else if let Some(field) = self.count(name) {
            *field = value.count();
        }
    }

    fn count(&mut self, name: &str) -> Option<&mut Option<u64>> {
        let fields = [
            (
                sys::VIR_DOMAIN_JOB_TIME_ELAPSED,
                &mut self.elapsed_milliseconds,
            ),
            (
                sys::VIR_DOMAIN_JOB_TIME_REMAINING,
                &mut self.remaining_milliseconds,
            ),
            (sys::VIR_DOMAIN_JOB_DATA_TOTAL, &mut self.data_total),
            (sys::VIR_DOMAIN_JOB_DATA_PROCESSED, &mut self.data_processed),
            (sys::VIR_DOMAIN_JOB_DATA_REMAINING, &mut self.data_remaining),
            (sys::VIR_DOMAIN_JOB_MEMORY_TOTAL, &mut self.memory_total),
            (
                sys::VIR_DOMAIN_JOB_MEMORY_PROCESSED,
                &mut self.memory_processed,
            ),
            (
                sys::VIR_DOMAIN_JOB_MEMORY_REMAINING,
                &mut self.memory_remaining,
            ),
            (sys::VIR_DOMAIN_JOB_DISK_TOTAL, &mut self.disk_total),
            (sys::VIR_DOMAIN_JOB_DISK_PROCESSED, &mut self.disk_processed),
            (sys::VIR_DOMAIN_JOB_DISK_REMAINING, &mut self.disk_remaining),
        ];
        fields
            .into_iter()
            .find_map(|(known, field)| is(name, known).then_some(field))
    }
}

fn is(name: &str, known: &CStr) -> bool {
    name.as_bytes() == known.to_bytes()
}

impl Domain {
    /// The job under way and how far it is.
    pub fn job(&self) -> Result<(JobKind, JobStats)> {
        const FUNCTION: &str = "virDomainGetJobStats";
        let (mut kind, mut count): (c_int, c_int) = (0, 0);
        let mut list = std::ptr::null_mut();
        let domain = self.as_ptr();
        // SAFETY: the domain is live; libvirt writes the kind, and a list that is the caller's.
        let read = unsafe {
            sys::virDomainGetJobStats(domain, &raw mut kind, &raw mut list, &raw mut count, 0)
        };
        done(read, FUNCTION)?;
        let mut stats = JobStats::default();
        let parameters = Parameters::adopt(list, count, FUNCTION);
        parameters.for_each(|name, value| stats.take(name, value));
        Ok((JobKind::from(kind), stats))
    }

    /// Stops the job under way.
    pub fn abort_job(&self) -> Result<()> {
        // SAFETY: the domain is live.
        done(
            unsafe { sys::virDomainAbortJob(self.as_ptr()) },
            "virDomainAbortJob",
        )
    }
}
