// SPDX-License-Identifier: GPL-3.0-or-later
//! Specs from files, and definitions made of them as a host would.

use std::path::{Path, PathBuf};

use hv_model::{
    device::ImageSource,
    document::{self, Format},
    hypervisor::{Definition, PlacedDisk},
    id::VmId,
    storage::{VolumeFormat, VolumeRef},
    vm::VmSpec,
};

/// The spec files of a folder, in the order of their names.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    files
}

/// The spec of a file, which must be one that can be carried out.
pub(crate) fn read(path: &Path) -> VmSpec {
    let text = std::fs::read_to_string(path).unwrap();
    document::read::<VmSpec>(&text, Format::Yaml)
        .and_then(|spec| {
            spec.refuse(spec.value.validate())?;
            spec.refuse(spec.value.not_yet())?;
            Ok(spec.value)
        })
        .unwrap_or_else(|faults| panic!("{}", faults.in_file(path.display())))
}

/// A definition of the spec with its disks in the pool `disks` and its CDs in `images`.
pub(crate) fn define(spec: VmSpec) -> Definition {
    let disks = spec
        .disks
        .iter()
        .zip(spec.disk_names())
        .map(|(disk, name)| {
            let (pool, volume, format) = match (disk.source, &disk.image) {
                (ImageSource::Cdrom, Some(image)) => {
                    ("images", image.to_string(), VolumeFormat::Raw)
                }
                _ => (
                    "disks",
                    format!("{}-{name}", spec.name),
                    VolumeFormat::Qcow2,
                ),
            };
            let pool = disk.pool.as_ref().map_or(pool, |pool| pool.as_str());
            let volume = VolumeRef {
                pool: pool.parse().unwrap(),
                name: volume.parse().unwrap(),
            };
            PlacedDisk {
                name,
                volume,
                format,
            }
        });
    Definition {
        id: "01890a5d-ac96-774b-bcce-b302099a8057"
            .parse::<VmId>()
            .unwrap(),
        generation: 7,
        disks: disks.collect(),
        spec,
    }
}
