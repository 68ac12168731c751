// SPDX-License-Identifier: GPL-3.0-or-later
//! QEMU's copy-on-write format, as its `docs/interop/qcow2.txt` describes it.

use hv_model::{size::Size, storage::VolumeFormat};

use super::{ImageRefusal, LARGEST};

const MAGIC: u32 = 0x5146_49fb;
const V2_HEADER: usize = 72;
const V3_HEADER: usize = 104;

const DIRTY: u64 = 1 << 0;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const COMPRESSION: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;

const END: u32 = 0;
const BACKING_FORMAT: u32 = 0xe279_2aca;
const EXTERNAL_DATA_NAME: u32 = 0x4441_5441;
const ENCRYPTION: u32 = 0x0537_be77;

/// Which file an image may stand on.
#[derive(Clone, Copy)]
pub enum Backing<'a> {
    /// None.
    None,
    /// One with such a path, in such a format.
    If(&'a dyn Fn(&str, VolumeFormat) -> bool),
}

/// Looks at a header; the disk's size, if there is nothing to be said against it.
///
/// `length` is how many bytes the file has; without it, what lies behind the header isn't checked.
pub(super) fn inspect(
    header: &[u8],
    length: Option<u64>,
    backing: Backing<'_>,
) -> Result<Size, ImageRefusal> {
    let bytes = Bytes(header);
    if bytes.u32(0).ok() != Some(MAGIC) {
        let found = super::disguise(header).unwrap_or("no qcow2 image");
        return Err(ImageRefusal::Format {
            found,
            said: VolumeFormat::Qcow2,
        });
    }
    let version = bytes.u32(4)?;
    if !(2..=3).contains(&version) {
        return unsupported(format!(
            "it has version {version} of qcow2; allowed are 2 and 3"
        ));
    }
    let cluster_bits = bytes.u32(20)?;
    if !(9..=21).contains(&cluster_bits) {
        return damaged(format!(
            "clusters of 2^{cluster_bits} bytes; allowed are 2^9 to 2^21"
        ));
    }
    let cluster = 1_usize << cluster_bits;
    if bytes.u32(32)? != 0 {
        return unsupported("it is encrypted");
    }
    let start = if version == 2 {
        V2_HEADER
    } else {
        features(&bytes, cluster_bits, backing)?
    };
    let name = backing_name(&bytes, start, cluster)?;
    let format = extensions(&bytes, start, cluster)?;
    match (name, backing) {
        (None, _) if format.is_none() => {}
        (Some(name), Backing::If(allows)) => {
            let said = match format {
                Some(b"qcow2") => VolumeFormat::Qcow2,
                Some(b"raw") => VolumeFormat::Raw,
                // Without a format QEMU would probe the file below.
                _ => {
                    return Err(ImageRefusal::PointsElsewhere(format!(
                        "{name}, format unsaid"
                    )));
                }
            };
            if !allows(&name, said) {
                return Err(ImageRefusal::PointsElsewhere(name));
            }
        }
        (name, _) => {
            let name = name.unwrap_or_else(|| "a backing file's format is named".to_owned());
            return Err(ImageRefusal::PointsElsewhere(name));
        }
    }
    if matches!(backing, Backing::None) && bytes.u32(60)? != 0 {
        return unsupported(format!("it holds {} internal snapshots", bytes.u32(60)?));
    }
    let size = bytes.u64(24)?;
    if size == 0 || size > LARGEST || !size.is_multiple_of(512) {
        let most = Size::from_bytes(LARGEST);
        let why = format!("a disk of {size} bytes; allowed are multiples of 512 up to {most}");
        return damaged(why);
    }
    tables(&bytes, length, cluster_bits, size)?;
    Ok(Size::from_bytes(size))
}

/// Checks version 3's feature bits; returns the header's length.
fn features(
    bytes: &Bytes<'_>,
    cluster_bits: u32,
    backing: Backing<'_>,
) -> Result<usize, ImageRefusal> {
    let incompatible = bytes.u64(72)?;
    if incompatible & EXTERNAL_DATA != 0 {
        return Err(ImageRefusal::PointsElsewhere(
            "it keeps its data in another file".to_owned(),
        ));
    }
    if incompatible & CORRUPT != 0 {
        return damaged("it is marked as corrupt");
    }
    if incompatible & DIRTY != 0 && matches!(backing, Backing::None) {
        return damaged("it was not closed cleanly");
    }
    let unknown = incompatible & !(DIRTY | CORRUPT | COMPRESSION | EXTENDED_L2);
    if unknown != 0 {
        return unsupported(format!(
            "it needs features that are not known here ({unknown:#x})"
        ));
    }
    if incompatible & EXTENDED_L2 != 0 && cluster_bits < 14 {
        return damaged("extended entries with clusters that are too small");
    }
    if bytes.u32(96)? > 6 {
        return damaged(format!(
            "reference counts of order {}; allowed are 0 to 6",
            bytes.u32(96)?
        ));
    }
    let length = bytes.u32(100)? as usize;
    let most = 1_usize << cluster_bits;
    if length < V3_HEADER || length > most || !length.is_multiple_of(8) {
        return damaged(format!("a header of {length} bytes"));
    }
    let compression = if length > V3_HEADER {
        bytes.u8(104)?
    } else {
        0
    };
    if compression > 1 || (compression == 1) != (incompatible & COMPRESSION != 0) {
        return unsupported(format!("compression of kind {compression}"));
    }
    Ok(length)
}

/// The path of the file below, if there is one.
fn backing_name(
    bytes: &Bytes<'_>,
    start: usize,
    cluster: usize,
) -> Result<Option<String>, ImageRefusal> {
    let (offset, length) = (bytes.u64(8)?, bytes.u32(16)? as usize);
    if offset == 0 && length == 0 {
        return Ok(None);
    }
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = offset.saturating_add(length);
    if offset < start || length == 0 || length > 1023 || end > cluster {
        return damaged(format!(
            "a backing file's name of {length} bytes at {offset}"
        ));
    }
    let name = bytes.slice(offset, length)?;
    let shown = String::from_utf8_lossy(name).replace(char::is_control, "?");
    if shown.as_bytes() != name {
        return Err(ImageRefusal::PointsElsewhere(shown));
    }
    Ok(Some(shown))
}

/// Goes through the header's extensions; the format of the file below, if one is named.
fn extensions<'a>(
    bytes: &Bytes<'a>,
    start: usize,
    cluster: usize,
) -> Result<Option<&'a [u8]>, ImageRefusal> {
    let mut format = None;
    let backing = usize::try_from(bytes.u64(8)?).unwrap_or(usize::MAX);
    let end = if backing == 0 { cluster } else { backing };
    let mut offset = start;
    while offset.saturating_add(8) <= end {
        let (kind, length) = (bytes.u32(offset)?, bytes.u32(offset + 4)? as usize);
        offset += 8;
        let padded = length.checked_next_multiple_of(8).unwrap_or(usize::MAX);
        if padded > end.saturating_sub(offset) {
            return damaged("an extension goes beyond the header");
        }
        match kind {
            END => break,
            BACKING_FORMAT if length == 0 => {}
            BACKING_FORMAT => format = Some(bytes.slice(offset, length)?),
            EXTERNAL_DATA_NAME => {
                let name = String::from_utf8_lossy(bytes.slice(offset, length.min(1024))?);
                let name = name.replace(char::is_control, "?");
                return Err(ImageRefusal::PointsElsewhere(name));
            }
            ENCRYPTION => return unsupported("it is encrypted"),
            // Names of features, bitmaps, and what QEMU skips as well.
            _ => {}
        }
        offset += padded;
    }
    Ok(format)
}

/// Checks that the two tables that lead to everything else are where they can be.
fn tables(
    bytes: &Bytes<'_>,
    length: Option<u64>,
    cluster_bits: u32,
    size: u64,
) -> Result<(), ImageRefusal> {
    let cluster = 1_u64 << cluster_bits;
    let extended = bytes.u32(4)? >= 3 && bytes.u64(72)? & EXTENDED_L2 != 0;
    let entry = if extended { 16 } else { 8 };
    let (l1_size, l1_offset) = (u64::from(bytes.u32(36)?), bytes.u64(40)?);
    let needed = size.div_ceil(cluster * (cluster / entry));
    // QEMU's own limit: 32 MiB of entries.
    if l1_size < needed || l1_size > (32 << 20) / 8 {
        return damaged(format!(
            "a first table of {l1_size} entries, where {needed} are needed"
        ));
    }
    let (refcounts_offset, refcounts) = (bytes.u64(48)?, u64::from(bytes.u32(56)?));
    if refcounts == 0 || refcounts > (8 << 20) / cluster.min(8 << 20) {
        return damaged(format!("reference counts in {refcounts} clusters"));
    }
    for (what, offset, space) in [
        ("first table", l1_offset, l1_size * 8),
        (
            "table of reference counts",
            refcounts_offset,
            refcounts * cluster,
        ),
    ] {
        let end = offset.saturating_add(space);
        let beyond = length.is_some_and(|length| end > length.next_multiple_of(cluster));
        if offset < cluster || offset % cluster != 0 || offset >> 56 != 0 || beyond {
            return damaged(format!("its {what} lies at {offset}, outside of it"));
        }
    }
    Ok(())
}

fn damaged<T>(why: impl Into<String>) -> Result<T, ImageRefusal> {
    Err(ImageRefusal::Damaged(why.into()))
}

fn unsupported<T>(why: impl Into<String>) -> Result<T, ImageRefusal> {
    Err(ImageRefusal::Unsupported(why.into()))
}

/// Big-endian numbers in bytes that may end too early.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn slice(&self, offset: usize, length: usize) -> Result<&'a [u8], ImageRefusal> {
        let end = offset.saturating_add(length);
        self.0
            .get(offset..end)
            .map_or_else(|| damaged("its header ends too early"), Ok)
    }

    fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N], ImageRefusal> {
        let slice = self.slice(offset, N)?;
        slice
            .try_into()
            .or_else(|_| damaged("its header ends too early"))
    }

    fn u8(&self, offset: usize) -> Result<u8, ImageRefusal> {
        self.array(offset).map(u8::from_be_bytes)
    }

    fn u32(&self, offset: usize) -> Result<u32, ImageRefusal> {
        self.array(offset).map(u32::from_be_bytes)
    }

    fn u64(&self, offset: usize) -> Result<u64, ImageRefusal> {
        self.array(offset).map(u64::from_be_bytes)
    }
}
