// SPDX-License-Identifier: GPL-3.0-or-later
//! Images that `qemu-img` makes, and some that it would not.

use std::{fs, path::Path, process::Command};

use proptest::prelude::*;

use super::*;

/// Runs `qemu-img` in a folder, and reads the file `a` that it makes.
fn made_by(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("qemu-img")
        .current_dir(folder)
        .args(arguments)
        .output();
    let output = output.expect("qemu-img is needed for this test");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    fs::read(folder.join("a")).unwrap()
}

fn make(arguments: &[&str]) -> Vec<u8> {
    made_by(tempfile::tempdir().unwrap().path(), arguments)
}

fn look(bytes: &[u8], said: VolumeFormat) -> Result<Size, ImageRefusal> {
    inspect(&bytes[..bytes.len().min(HEADER)], said, bytes.len() as u64)
}

fn plain() -> Vec<u8> {
    make(&["create", "-q", "-f", "qcow2", "a", "20G"])
}

#[test]
fn plain_images_of_every_kind_are_taken() {
    for options in [
        "compat=0.10",
        "compat=1.1",
        "cluster_size=512",
        "cluster_size=2M",
        "cluster_size=64k,extended_l2=on",
        "compression_type=zstd",
        "lazy_refcounts=on,refcount_bits=1",
        "preallocation=metadata",
    ] {
        let image = make(&["create", "-q", "-f", "qcow2", "-o", options, "a", "1G"]);
        assert_eq!(
            look(&image, VolumeFormat::Qcow2),
            Ok(Size::from_gib(1)),
            "{options}"
        );
    }
}

#[test]
fn an_image_with_a_backing_file_points_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), [0; 512]).unwrap();
    for options in [&["-F", "raw"][..], &["-F", "raw", "-o", "compat=0.10"]] {
        let arguments = [
            &["create", "-q", "-f", "qcow2", "-b", "secret"],
            options,
            &["a"],
        ]
        .concat();
        let image = made_by(folder.path(), &arguments);
        let refused = look(&image, VolumeFormat::Qcow2);
        assert_eq!(
            refused,
            Err(ImageRefusal::PointsElsewhere("secret".to_owned()))
        );
        // Nor does it pass as the plain bytes of a disk.
        let refused = look(&image, VolumeFormat::Raw);
        assert!(
            matches!(refused, Err(ImageRefusal::Format { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_disk_of_ours_may_stand_on_what_is_allowed_in_the_format_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    made_by(folder.path(), &["create", "-q", "-f", "qcow2", "a", "1M"]);
    fs::rename(folder.path().join("a"), folder.path().join("base")).unwrap();
    let base = folder.path().join("base");
    let base = base.to_str().unwrap();
    let image = made_by(
        folder.path(),
        &[
            "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", "a",
        ],
    );
    let header = &image[..HEADER];
    let allow = |path: &str, format| path == base && format == VolumeFormat::Qcow2;
    assert_eq!(
        inspect_disk(header, VolumeFormat::Qcow2, Backing::If(&allow)),
        Ok(Some(Size::from_mib(1)))
    );
    let deny = |_: &str, _| false;
    assert!(inspect_disk(header, VolumeFormat::Qcow2, Backing::If(&deny)).is_err());
    assert!(inspect_disk(header, VolumeFormat::Qcow2, Backing::None).is_err());
}

#[test]
fn an_image_with_a_data_file_points_elsewhere() {
    let image = make(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        "data_file=other",
        "a",
        "1G",
    ]);
    let refused = look(&image, VolumeFormat::Qcow2);
    assert!(
        matches!(refused, Err(ImageRefusal::PointsElsewhere(_))),
        "{refused:?}"
    );
    // Also where the flag that admits it was cleared: the name alone is enough.
    let mut image = image;
    image[79] &= !4;
    let refused = look(&image, VolumeFormat::Qcow2);
    assert_eq!(
        refused,
        Err(ImageRefusal::PointsElsewhere("other".to_owned()))
    );
}

#[test]
fn encrypted_images_are_refused() {
    let refused = |image: &[u8]| {
        let refused = look(image, VolumeFormat::Qcow2);
        assert!(
            matches!(refused, Err(ImageRefusal::Unsupported(_))),
            "{refused:?}"
        );
    };
    let secret = "secret,id=s,data=abc123";
    let options = "encrypt.format=aes,encrypt.key-secret=s";
    refused(&make(&[
        "create", "-q", "--object", secret, "-f", "qcow2", "-o", options, "a", "1M",
    ]));
    // For LUKS, QEMU measures the host's speed first, which takes long and fails on a busy one.
    // Its header says 2, and points to the keys by an extension.
    let mut luks = plain();
    luks[35] = 2;
    refused(&luks);
    let mut luks = plain();
    luks[112..116].copy_from_slice(&0x0537_be77_u32.to_be_bytes());
    luks[116..120].copy_from_slice(&16_u32.to_be_bytes());
    refused(&luks);
    let refused = look(b"LUKS\xba\xbe\0\x01", VolumeFormat::Raw).unwrap_err();
    assert!(refused.to_string().contains("LUKS"), "{refused}");
}

#[test]
fn internal_snapshots_are_refused_in_uploads() {
    let folder = tempfile::tempdir().unwrap();
    made_by(folder.path(), &["create", "-q", "-f", "qcow2", "a", "1M"]);
    let image = made_by(folder.path(), &["snapshot", "-c", "one", "a"]);
    let refused = look(&image, VolumeFormat::Qcow2);
    assert!(
        matches!(refused, Err(ImageRefusal::Unsupported(_))),
        "{refused:?}"
    );
}

#[test]
fn other_formats_are_no_raw_disks_and_no_qcow2() {
    for (format, words) in [
        ("qcow2", "qcow2"),
        ("vmdk", "VMDK"),
        ("vdi", "VDI"),
        ("vhdx", "VHDX"),
        ("qed", "QED"),
        ("parallels", "Parallels"),
        ("vpc", "VHD"),
    ] {
        let image = make(&["create", "-q", "-f", format, "a", "1M"]);
        let refused = look(&image, VolumeFormat::Raw).unwrap_err().to_string();
        assert!(
            refused.contains(words) && refused.contains("qemu-img convert"),
            "{refused}"
        );
        if format != "qcow2" {
            assert!(look(&image, VolumeFormat::Qcow2).is_err(), "{format}");
        }
    }
    let options = "subformat=monolithicFlat";
    let image = make(&["create", "-q", "-f", "vmdk", "-o", options, "a", "1M"]);
    assert!(look(&image, VolumeFormat::Raw).is_err());
}

#[test]
fn raw_disks_are_counted_in_whole_sectors() {
    assert_eq!(
        look(&[0; 512], VolumeFormat::Raw),
        Ok(Size::from_bytes(512))
    );
    assert_eq!(
        look(&[0; 513], VolumeFormat::Raw),
        Ok(Size::from_bytes(1024))
    );
    assert!(look(&[], VolumeFormat::Raw).is_err());
    assert!(inspect(&[0; 512], VolumeFormat::Raw, u64::MAX).is_err());
}

#[test]
fn headers_that_contradict_themselves_are_damaged() {
    let image = plain();
    let changed = |offset: usize, bytes: &[u8]| {
        let mut image = image.clone();
        image[offset..offset + bytes.len()].copy_from_slice(bytes);
        look(&image, VolumeFormat::Qcow2)
    };
    for (offset, bytes) in [
        (4, &1_u32.to_be_bytes()[..]),
        (4, &4_u32.to_be_bytes()),
        (8, &1_u64.to_be_bytes()),
        (16, &9_u32.to_be_bytes()),
        (20, &8_u32.to_be_bytes()),
        (20, &22_u32.to_be_bytes()),
        (24, &0_u64.to_be_bytes()),
        (24, &1000_u64.to_be_bytes()),
        (24, &u64::MAX.to_be_bytes()),
        (36, &0_u32.to_be_bytes()),
        (36, &u32::MAX.to_be_bytes()),
        (40, &0_u64.to_be_bytes()),
        (40, &u64::MAX.to_be_bytes()),
        (48, &(1_u64 << 40).to_be_bytes()),
        (56, &0_u32.to_be_bytes()),
        (56, &u32::MAX.to_be_bytes()),
        (72, &1_u64.to_be_bytes()),
        (72, &2_u64.to_be_bytes()),
        (72, &(1_u64 << 5).to_be_bytes()),
        (72, &(1_u64 << 63).to_be_bytes()),
        (96, &7_u32.to_be_bytes()),
        (100, &96_u32.to_be_bytes()),
        (100, &u32::MAX.to_be_bytes()),
        (104, &[1]),
    ] {
        assert!(changed(offset, bytes).is_err(), "{bytes:?} at {offset}");
    }
    assert!(look(&image[..100], VolumeFormat::Qcow2).is_err());
}

/// A header that goes wrong only where the test says.
fn header_with(changes: Vec<(usize, Vec<u8>)>) -> Vec<u8> {
    let mut header = vec![0; 4096];
    for (offset, bytes) in [
        (0, b"QFI\xfb".to_vec()),
        (4, 3_u32.to_be_bytes().to_vec()),
        (20, 16_u32.to_be_bytes().to_vec()),
        (24, (1_u64 << 30).to_be_bytes().to_vec()),
        (36, 2_u32.to_be_bytes().to_vec()),
        (40, (3_u64 << 16).to_be_bytes().to_vec()),
        (48, (1_u64 << 16).to_be_bytes().to_vec()),
        (56, 1_u32.to_be_bytes().to_vec()),
        (96, 4_u32.to_be_bytes().to_vec()),
        (100, 104_u32.to_be_bytes().to_vec()),
    ]
    .into_iter()
    .chain(changes)
    {
        for (place, byte) in header.iter_mut().skip(offset).zip(bytes) {
            *place = byte;
        }
    }
    header
}

proptest! {
    #[test]
    fn no_bytes_make_the_inspection_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        length: u64,
    ) {
        let _ = inspect(&bytes, VolumeFormat::Qcow2, length);
        let _ = inspect(&bytes, VolumeFormat::Raw, length);
    }

    #[test]
    fn no_change_to_a_good_header_makes_it_panic_or_point_elsewhere(
        changes in prop::collection::vec((0_usize..256, prop::collection::vec(any::<u8>(), 1..9)), 0..6),
        length: u64,
    ) {
        let header = header_with(changes);
        if inspect(&header, VolumeFormat::Qcow2, length).is_ok() {
            prop_assert_eq!(&header[8..20], &[0; 12], "a backing file");
            prop_assert_eq!(&header[32..36], &[0; 4], "encryption");
            prop_assert_eq!(header[79] & 4, 0, "an external data file");
        }
        let _ = inspect_disk(&header, VolumeFormat::Qcow2, Backing::If(&|_, _| true));
    }
}

#[test]
fn the_good_header_of_the_property_test_is_good() {
    let refused = inspect(&header_with(Vec::new()), VolumeFormat::Qcow2, 1 << 20);
    assert_eq!(refused, Ok(Size::from_gib(1)));
}
