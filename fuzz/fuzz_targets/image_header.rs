// SPDX-License-Identifier: GPL-3.0-or-later
//! First bytes of images: what is taken is what it was said to be, and points to no other file.
#![no_main]

use hv_guard::image::{Backing, HEADER, inspect, inspect_disk};
use hv_model::storage::VolumeFormat;
use libfuzzer_sys::fuzz_target;

/// 64 TiB, the largest disk.
const LARGEST: u64 = 64 << 40;

fuzz_target!(|bytes: &[u8]| {
    // A header is given whole: what the file lacks is not there, what it has is.
    let mut header = bytes.to_vec();
    header.resize(HEADER, 0);
    for (header, length) in [
        (bytes, bytes.len() as u64),
        (&header, HEADER as u64),
        (&header, 1 << 40),
    ] {
        look(header, length);
    }
});

fn look(header: &[u8], length: u64) {
    let is_qcow2 = header.starts_with(b"QFI\xfb");
    if let Ok(size) = inspect(header, VolumeFormat::Raw, length) {
        assert!(!is_qcow2, "QEMU could take it for another format");
        assert!(size.bytes() >= length && size.bytes() < length + 512);
    }
    let taken = inspect(header, VolumeFormat::Qcow2, length);
    if let Ok(size) = &taken {
        assert!(is_qcow2);
        let size = size.bytes();
        assert!(
            size > 0 && size <= LARGEST && size.is_multiple_of(512),
            "{size}"
        );
        assert_eq!(header[8..20], [0; 12], "it stands on another file");
        assert_eq!(header[32..36], [0; 4], "it is encrypted");
        assert_eq!(header[60..64], [0; 4], "it holds snapshots");
        if header[7] == 3 {
            assert_eq!(
                header[79] & 0b111,
                0,
                "dirty, corrupt, or with data elsewhere"
            );
        }
    }
    // A disk of ours may be less tidy than an upload, and stand on what is allowed.
    let disk = inspect_disk(header, VolumeFormat::Qcow2, Backing::None);
    if let Ok(size) = &taken {
        assert_eq!(disk.as_ref().ok(), Some(&Some(*size)));
    }
    let nothing = |_: &str, _: VolumeFormat| false;
    if let Ok(size) = inspect_disk(header, VolumeFormat::Qcow2, Backing::If(&nothing)) {
        assert_eq!(
            header[8..20],
            [0; 12],
            "it stands on a file that is not allowed"
        );
        assert!(size.is_some());
    }
    let seen = std::cell::RefCell::new(String::new());
    let any = |path: &str, _: VolumeFormat| {
        path.clone_into(&mut seen.borrow_mut());
        true
    };
    if inspect_disk(header, VolumeFormat::Qcow2, Backing::If(&any)).is_ok() {
        let seen = seen.borrow();
        assert_eq!(seen.is_empty(), header[8..20] == [0; 12]);
        assert!(!seen.contains(char::is_control), "{seen:?}");
        let is_there = || {
            let mut parts = header.windows(seen.len());
            parts.any(|part| part == seen.as_bytes())
        };
        assert!(
            seen.is_empty() || is_there(),
            "judged by another name than QEMU would open"
        );
    }
}
