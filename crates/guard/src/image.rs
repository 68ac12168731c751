// SPDX-License-Identifier: GPL-3.0-or-later
//! The third look: at the first bytes of an image, as at something hostile.
//!
//! A disk image can name other files: QEMU opens them with its own rights and shows them to the
//! guest (CVE-2024-32498 and its kin). So an image is taken only as the format that it was said
//! to be in, and only if that says nothing of other files. Nothing is ever probed by QEMU.

mod qcow2;

use hv_model::{size::Size, storage::VolumeFormat};

pub use qcow2::Backing;

/// How many of an image's first bytes must be given here, or all, if it has fewer.
pub const HEADER: usize = 64 * 1024;

/// The largest disk: 64 TiB.
const LARGEST: u64 = 64 << 40;

/// How a person can make a plain image.
const HINT: &str = "make it a plain one: qemu-img convert -O qcow2 FILE plain.qcow2";

/// Why an image is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageRefusal {
    /// It is in another format than was said.
    #[error("it is {found} and was said to be {}; {HINT}", .said.as_str())]
    Format {
        /// What it is.
        found: &'static str,
        /// What it was said to be.
        said: VolumeFormat,
    },
    /// It points to another file.
    #[error("it points to another file ({0}); {HINT}")]
    PointsElsewhere(String),
    /// It is encrypted, or uses what this version does not know.
    #[error("{0}; {HINT}")]
    Unsupported(String),
    /// It contradicts itself.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

/// Looks at an upload: how large is the disk in it?
///
/// `header` are its first [`HEADER`] bytes, `length` is how many it has in all.
pub fn inspect(header: &[u8], said: VolumeFormat, length: u64) -> Result<Size, ImageRefusal> {
    match said {
        VolumeFormat::Qcow2 => qcow2::inspect(header, Some(length), Backing::None),
        VolumeFormat::Raw => raw(header, length),
    }
}

/// Looks at a disk of ours before it is used: it may stand on a file that `backing` allows, and may
/// then have been in use when its host failed. Its size, as far as the header tells.
pub fn inspect_disk(
    header: &[u8],
    said: VolumeFormat,
    backing: Backing<'_>,
) -> Result<Option<Size>, ImageRefusal> {
    match said {
        VolumeFormat::Qcow2 => qcow2::inspect(header, None, backing).map(Some),
        // A guest may write what it likes to its own disk, and it stays raw.
        VolumeFormat::Raw => Ok(None),
    }
}

fn raw(header: &[u8], length: u64) -> Result<Size, ImageRefusal> {
    if let Some(found) = disguise(header) {
        return Err(ImageRefusal::Format {
            found,
            said: VolumeFormat::Raw,
        });
    }
    match length.checked_next_multiple_of(512) {
        Some(0) => Err(ImageRefusal::Damaged("it is empty".to_owned())),
        Some(size) if size <= LARGEST => Ok(Size::from_bytes(size)),
        _ => {
            let (size, most) = (
                Size::from_bytes(length).rounded(),
                Size::from_bytes(LARGEST),
            );
            Err(ImageRefusal::Unsupported(format!(
                "it has {size}; allowed are {most}"
            )))
        }
    }
}

/// What a file that should hold a disk's plain bytes is instead, if one can tell.
fn disguise(header: &[u8]) -> Option<&'static str> {
    const MAGICS: [(usize, &[u8], &str); 19] = [
        (0, b"QFI\xfb", "a qcow2 image"),
        (0, b"KDMV", "a VMDK image"),
        (0, b"COWD", "a VMDK image"),
        (0, b"# Disk DescriptorFile", "a VMDK descriptor"),
        (64, &[0x7f, 0x10, 0xda, 0xbe], "a VDI image"),
        (0, b"vhdxfile", "a VHDX image"),
        (0, b"conectix", "a VHD image"),
        (0, b"QED\0", "a QED image"),
        (0, b"WithoutFreeSpace", "a Parallels image"),
        (0, b"WithouFreSpacExt", "a Parallels image"),
        (0, b"LUKS\xba\xbe", "an encrypted LUKS volume"),
        (0, b"Bochs Virtual HD Image", "a Bochs image"),
        (0, b"#!/bin/sh\n#V2.0 Format\n", "a cloop image"),
        (0, b"\x1f\x8b", "compressed with gzip"),
        (0, b"\xfd7zXZ\0", "compressed with xz"),
        (0, b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (0, b"BZh", "compressed with bzip2"),
        (0, b"PK\x03\x04", "a ZIP archive"),
        (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    ];
    let found = MAGICS.iter().find(|(offset, magic, _)| {
        header
            .get(*offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    });
    if let Some((_, _, name)) = found {
        return Some(name);
    }
    // VMDK descriptors may begin with comments and blanks.
    let start = header.get(..512).unwrap_or(header);
    let is_descriptor = start.windows(10).any(|words| words == b"createType");
    is_descriptor.then_some("a VMDK descriptor")
}

#[cfg(test)]
mod tests;
