// SPDX-License-Identifier: GPL-3.0-or-later
//! What libvirt answered when it refused: a kind to act on, and its own words.

use std::ffi::{CStr, CString, c_int};
use std::ptr::NonNull;

use virt_sys as sys;

/// A call to libvirt that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({function})")]
pub struct Error {
    /// What sort of failure it is; act on this one.
    pub kind: ErrorKind,
    /// libvirt's `virErrorNumber`; 0 where the failure was found on this side.
    pub code: i32,
    /// libvirt's `virErrorDomain`, the part of libvirt that failed; 0 where it was this side.
    pub domain: i32,
    /// libvirt's own words. They may hold host paths: for the log and the operator of the host.
    pub message: String,
    /// The libvirt function that failed.
    pub function: &'static str,
}

/// The sorts of failure that a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The domain, network, pool, volume, device or metadata is not there.
    NotFound,
    /// The name or UUID is taken.
    AlreadyExists,
    /// The object is not in a state in which this can be done, such as stopping a stopped VM.
    InvalidState,
    /// Access control, authentication or a read-only connection forbids it.
    Denied,
    /// libvirt can't be reached, or the connection broke; reconnect.
    Unavailable,
    /// libvirt, a lock or the guest's agent did not answer in time.
    TimedOut,
    /// The storage is full.
    NoSpace,
    /// This host's libvirt or QEMU can't do it.
    Unsupported,
    /// The XML or an argument is wrong.
    Invalid,
    /// Something else holds the object: a job, a lock, another VM.
    Busy,
    /// The caller, or somebody else, stopped it.
    Aborted,
    /// Anything else.
    Internal,
}

/// The result of a call to libvirt.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Copies what libvirt recorded for this thread's latest call, `function`.
    ///
    /// Call it in the thread of the failed call and before any other call to libvirt.
    pub(crate) fn last(function: &'static str) -> Self {
        // SAFETY: takes nothing; the result is null or points at this thread's error record, which
        // stays valid and unchanged until this thread calls libvirt again.
        let record = unsafe { sys::virGetLastError() };
        let Some(record) = NonNull::new(record) else {
            let message = "libvirt failed without a reason".to_owned();
            return Self::new(ErrorKind::Internal, message, function);
        };
        // SAFETY: see above; no call to libvirt is made while this reference lives.
        let record = unsafe { record.as_ref() };
        let message = if record.message.is_null() {
            "libvirt gave no message".to_owned()
        } else {
            // SAFETY: libvirt's messages are NUL-terminated strings owned by the error record.
            unsafe { CStr::from_ptr(record.message) }
                .to_string_lossy()
                .into_owned()
        };
        let kind = ErrorKind::from_record(record.code, record.domain, record.int1, &message);
        Self {
            kind,
            code: record.code,
            domain: record.domain,
            message,
            function,
        }
    }

    /// Whether libvirt's access control refused it to whom the connection acts for.
    pub fn is_access_denied(&self) -> bool {
        self.code == VIR_ERR_ACCESS_DENIED && self.domain == VIR_FROM_ACCESS
    }

    /// A failure that this side found itself.
    pub(crate) fn new(kind: ErrorKind, message: String, function: &'static str) -> Self {
        Self {
            kind,
            code: 0,
            domain: 0,
            message,
            function,
        }
    }
}

/// libvirt's error codes as the numbers that a record holds.
macro_rules! codes {
    ($($name:ident),+ $(,)?) => {
        $(
            #[allow(clippy::cast_possible_wrap, reason = "libvirt's codes are small")]
            const $name: c_int = sys::$name as c_int;
        )+
    };
}

codes! {
    VIR_ERR_NO_DOMAIN, VIR_ERR_NO_NETWORK, VIR_ERR_NO_STORAGE_POOL, VIR_ERR_NO_STORAGE_VOL,
    VIR_ERR_NO_DOMAIN_METADATA, VIR_ERR_DEVICE_MISSING, VIR_ERR_NO_NWFILTER, VIR_ERR_NO_SECRET,
    VIR_ERR_NO_NODE_DEVICE, VIR_ERR_NO_INTERFACE, VIR_ERR_NO_DOMAIN_SNAPSHOT,
    VIR_ERR_NO_DOMAIN_CHECKPOINT, VIR_ERR_NO_DOMAIN_BACKUP,
    VIR_ERR_DOM_EXIST, VIR_ERR_NETWORK_EXIST, VIR_ERR_STORAGE_VOL_EXIST,
    VIR_ERR_STORAGE_POOL_BUILT,
    VIR_ERR_OPERATION_INVALID, VIR_ERR_MIGRATE_UNSAFE, VIR_ERR_SNAPSHOT_REVERT_RISKY,
    VIR_ERR_OPERATION_DENIED, VIR_ERR_ACCESS_DENIED, VIR_ERR_AUTH_FAILED, VIR_ERR_AUTH_CANCELLED,
    VIR_ERR_AUTH_UNAVAILABLE, VIR_ERR_HOOK_SCRIPT_FAILED,
    VIR_ERR_NO_CONNECT, VIR_ERR_INVALID_CONN, VIR_ERR_RPC, VIR_ERR_UNKNOWN_HOST,
    VIR_ERR_GNUTLS_ERROR, VIR_ERR_SSH, VIR_ERR_LIBSSH,
    VIR_ERR_OPERATION_TIMEOUT, VIR_ERR_AGENT_UNRESPONSIVE, VIR_ERR_AGENT_UNSYNCED,
    VIR_ERR_NO_SUPPORT, VIR_ERR_CONFIG_UNSUPPORTED, VIR_ERR_ARGUMENT_UNSUPPORTED,
    VIR_ERR_OPERATION_UNSUPPORTED, VIR_ERR_CPU_INCOMPATIBLE, VIR_ERR_CALL_FAILED,
    VIR_ERR_INVALID_ARG, VIR_ERR_XML_ERROR, VIR_ERR_XML_DETAIL, VIR_ERR_XML_INVALID_SCHEMA,
    VIR_ERR_PARSE_FAILED, VIR_ERR_CONF_SYNTAX, VIR_ERR_INVALID_MAC, VIR_ERR_OS_TYPE,
    VIR_ERR_NO_SOURCE, VIR_ERR_NO_TARGET, VIR_ERR_NO_NAME, VIR_ERR_NO_OS, VIR_ERR_NO_DEVICE,
    VIR_ERR_NO_ROOT, VIR_ERR_NO_KERNEL, VIR_ERR_OVERFLOW, VIR_ERR_MULTIPLE_DOMAINS,
    VIR_ERR_RESOURCE_BUSY, VIR_ERR_BLOCK_COPY_ACTIVE,
    VIR_ERR_OPERATION_ABORTED, VIR_ERR_SYSTEM_ERROR, VIR_ERR_OPERATION_FAILED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_FROM_RPC, VIR_FROM_REMOTE, VIR_FROM_STREAMS, VIR_FROM_ACCESS,
}

impl ErrorKind {
    /// `errno` is the error number that libvirt kept for `VIR_ERR_SYSTEM_ERROR`, else anything.
    fn from_record(code: c_int, domain: c_int, errno: c_int, message: &str) -> Self {
        match code {
            VIR_ERR_NO_DOMAIN
            | VIR_ERR_NO_NETWORK
            | VIR_ERR_NO_STORAGE_POOL
            | VIR_ERR_NO_STORAGE_VOL
            | VIR_ERR_NO_DOMAIN_METADATA
            | VIR_ERR_DEVICE_MISSING
            | VIR_ERR_NO_NWFILTER
            | VIR_ERR_NO_SECRET
            | VIR_ERR_NO_NODE_DEVICE
            | VIR_ERR_NO_INTERFACE
            | VIR_ERR_NO_DOMAIN_SNAPSHOT
            | VIR_ERR_NO_DOMAIN_CHECKPOINT
            | VIR_ERR_NO_DOMAIN_BACKUP => Self::NotFound,
            VIR_ERR_DOM_EXIST
            | VIR_ERR_NETWORK_EXIST
            | VIR_ERR_STORAGE_VOL_EXIST
            | VIR_ERR_STORAGE_POOL_BUILT => Self::AlreadyExists,
            VIR_ERR_OPERATION_INVALID | VIR_ERR_MIGRATE_UNSAFE | VIR_ERR_SNAPSHOT_REVERT_RISKY => {
                Self::InvalidState
            }
            VIR_ERR_OPERATION_DENIED
            | VIR_ERR_ACCESS_DENIED
            | VIR_ERR_AUTH_FAILED
            | VIR_ERR_AUTH_CANCELLED
            | VIR_ERR_AUTH_UNAVAILABLE
            | VIR_ERR_HOOK_SCRIPT_FAILED => Self::Denied,
            // The far end of a stream cut it, for example for another viewer of a console.
            VIR_ERR_RPC if domain == VIR_FROM_STREAMS => Self::Aborted,
            VIR_ERR_NO_CONNECT | VIR_ERR_INVALID_CONN | VIR_ERR_RPC | VIR_ERR_UNKNOWN_HOST
            | VIR_ERR_GNUTLS_ERROR | VIR_ERR_SSH | VIR_ERR_LIBSSH => Self::Unavailable,
            VIR_ERR_SYSTEM_ERROR
                if domain == VIR_FROM_RPC && matches!(errno, libc::EACCES | libc::EPERM) =>
            {
                Self::Denied
            }
            // The client side of a connection that broke: the socket is gone.
            VIR_ERR_INTERNAL_ERROR | VIR_ERR_SYSTEM_ERROR
                if domain == VIR_FROM_RPC || domain == VIR_FROM_REMOTE =>
            {
                Self::Unavailable
            }
            // Waiting for another job of the same domain, which is no fault of libvirt or guest.
            VIR_ERR_OPERATION_TIMEOUT if message.contains("state change lock") => Self::Busy,
            VIR_ERR_OPERATION_TIMEOUT | VIR_ERR_AGENT_UNRESPONSIVE | VIR_ERR_AGENT_UNSYNCED => {
                Self::TimedOut
            }
            VIR_ERR_NO_SUPPORT
            | VIR_ERR_CONFIG_UNSUPPORTED
            | VIR_ERR_ARGUMENT_UNSUPPORTED
            | VIR_ERR_OPERATION_UNSUPPORTED
            | VIR_ERR_CPU_INCOMPATIBLE
            | VIR_ERR_CALL_FAILED => Self::Unsupported,
            VIR_ERR_INVALID_ARG
            | VIR_ERR_XML_ERROR
            | VIR_ERR_XML_DETAIL
            | VIR_ERR_XML_INVALID_SCHEMA
            | VIR_ERR_PARSE_FAILED
            | VIR_ERR_CONF_SYNTAX
            | VIR_ERR_INVALID_MAC
            | VIR_ERR_OS_TYPE
            | VIR_ERR_NO_SOURCE
            | VIR_ERR_NO_TARGET
            | VIR_ERR_NO_NAME
            | VIR_ERR_NO_OS
            | VIR_ERR_NO_DEVICE
            | VIR_ERR_NO_ROOT
            | VIR_ERR_NO_KERNEL
            | VIR_ERR_OVERFLOW
            | VIR_ERR_MULTIPLE_DOMAINS => Self::Invalid,
            VIR_ERR_RESOURCE_BUSY | VIR_ERR_BLOCK_COPY_ACTIVE => Self::Busy,
            VIR_ERR_OPERATION_ABORTED => Self::Aborted,
            VIR_ERR_SYSTEM_ERROR => Self::from_errno(errno, message),
            VIR_ERR_OPERATION_FAILED | VIR_ERR_INTERNAL_ERROR => Self::from_message(message),
            _ => Self::Internal,
        }
    }

    fn from_errno(errno: c_int, message: &str) -> Self {
        match errno {
            libc::ENOSPC | libc::EDQUOT => Self::NoSpace,
            libc::EACCES | libc::EPERM => Self::Denied,
            libc::ENOENT => Self::NotFound,
            libc::EEXIST => Self::AlreadyExists,
            libc::EBUSY | libc::EAGAIN => Self::Busy,
            libc::ETIMEDOUT => Self::TimedOut,
            libc::EPIPE | libc::ECONNRESET | libc::ECONNREFUSED => Self::Unavailable,
            _ => Self::from_message(message),
        }
    }

    /// The few failures that libvirt tells apart by its words alone.
    fn from_message(message: &str) -> Self {
        const WORDS: [(&str, ErrorKind); 13] = [
            ("No space left on device", ErrorKind::NoSpace),
            ("Disk quota exceeded", ErrorKind::NoSpace),
            ("not enough space", ErrorKind::NoSpace),
            ("already exists", ErrorKind::AlreadyExists),
            ("already running", ErrorKind::InvalidState),
            ("already in use", ErrorKind::Busy),
            ("is in use", ErrorKind::Busy),
            ("Failed to get \"write\" lock", ErrorKind::Busy),
            ("Is another process using the image", ErrorKind::Busy),
            ("Active console session exists", ErrorKind::Busy),
            ("asynchronous jobs running", ErrorKind::Busy),
            ("client socket is closed", ErrorKind::Unavailable),
            ("Timed out", ErrorKind::TimedOut),
        ];
        let known = WORDS.iter().find(|(words, _)| message.contains(words));
        known.map_or(Self::Internal, |(_, kind)| *kind)
    }
}

/// Turns libvirt's "negative is failure" into a result.
pub(crate) fn checked(returned: c_int, function: &'static str) -> Result<c_int> {
    if returned < 0 {
        Err(Error::last(function))
    } else {
        Ok(returned)
    }
}

/// Turns libvirt's "negative is failure" into a result, where success says nothing more.
pub(crate) fn done(returned: c_int, function: &'static str) -> Result<()> {
    checked(returned, function).map(|_| ())
}

/// Turns libvirt's "null is failure" into a result.
pub(crate) fn pointer<T>(returned: *mut T, function: &'static str) -> Result<NonNull<T>> {
    NonNull::new(returned).ok_or_else(|| Error::last(function))
}

/// Text for libvirt; refuses text that C would cut short.
pub(crate) fn text(value: &str, function: &'static str) -> Result<CString> {
    CString::new(value).map_err(|_| {
        let message = format!("text with a NUL byte: {value:?}");
        Error::new(ErrorKind::Invalid, message, function)
    })
}

/// Takes over a string that libvirt allocated for the caller.
///
/// # Safety
/// `returned` must be null or a NUL-terminated string that the caller owns and has to `free`.
pub(crate) unsafe fn owned_text(
    returned: *mut std::ffi::c_char,
    function: &'static str,
) -> Result<String> {
    let returned = pointer(returned, function)?;
    // SAFETY: the caller promises a NUL-terminated string.
    let copy = unsafe { CStr::from_ptr(returned.as_ptr()) }
        .to_string_lossy()
        .into_owned();
    // SAFETY: the caller promises that it is owned and from malloc; it is not used again.
    unsafe { libc::free(returned.as_ptr().cast()) };
    Ok(copy)
}

/// Copies a string that stays libvirt's; null reads as nothing.
///
/// # Safety
/// `borrowed` must be null or a NUL-terminated string that is valid during this call.
pub(crate) unsafe fn borrowed_text(borrowed: *const std::ffi::c_char) -> Option<String> {
    if borrowed.is_null() {
        return None;
    }
    // SAFETY: the caller promises a valid NUL-terminated string.
    Some(
        unsafe { CStr::from_ptr(borrowed) }
            .to_string_lossy()
            .into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_by_errno_and_by_words() {
        let by_errno =
            ErrorKind::from_record(VIR_ERR_SYSTEM_ERROR, 18, libc::ENOSPC, "cannot write");
        let message = "qemu-img: error while writing: No space left on device";
        let by_words = ErrorKind::from_record(VIR_ERR_INTERNAL_ERROR, 18, 0, message);
        assert_eq!([by_errno, by_words], [ErrorKind::NoSpace; 2]);
    }

    #[test]
    fn a_closed_client_socket_is_unavailable() {
        let message = "client socket is closed";
        let kind = ErrorKind::from_record(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, 0, message);
        assert_eq!(kind, ErrorKind::Unavailable);
    }

    #[test]
    fn a_lost_lock_is_a_busy_disk() {
        let message = "Failed to get \"write\" lock";
        let kind = ErrorKind::from_record(VIR_ERR_INTERNAL_ERROR, 10, 0, message);
        assert_eq!(kind, ErrorKind::Busy);
    }

    #[test]
    fn a_socket_of_somebody_else_is_denied() {
        let message = "Failed to connect socket to '/run/x': Permission denied";
        let kind =
            ErrorKind::from_record(VIR_ERR_SYSTEM_ERROR, VIR_FROM_RPC, libc::EACCES, message);
        assert_eq!(kind, ErrorKind::Denied);
    }

    #[test]
    fn a_domain_with_another_job_is_busy() {
        let message = "Timed out during operation: cannot acquire state change lock";
        let kind = ErrorKind::from_record(VIR_ERR_OPERATION_TIMEOUT, 10, 0, message);
        assert_eq!(kind, ErrorKind::Busy);
    }

    #[test]
    fn text_with_a_nul_byte_is_refused() {
        let refused = text("a\0b", "virDomainLookupByName").map_err(|error| error.kind);
        assert_eq!(refused, Err(ErrorKind::Invalid));
    }
}
