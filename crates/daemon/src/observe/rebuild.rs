// SPDX-License-Identifier: GPL-3.0-or-later
//! Finding images again after the database was lost.
//!
//! VMs carry their description in libvirt; an image carries its name, and a piece of its id, in
//! the name of its volume: `debian-12.1a2b3c4d.qcow2`.

use hv_model::{
    event::{EventKind, Subject},
    id::ImageId,
    image::Image,
    name::{ImageName, VolumeName},
    storage::{PoolPurpose, Volume, VolumeFormat},
};
use serde_json::json;

use super::{Observer, Result};

/// The name of the volume that holds an image.
pub(crate) fn image_volume(
    name: &ImageName,
    id: ImageId,
    format: VolumeFormat,
) -> std::result::Result<VolumeName, hv_model::name::NameError> {
    let id = id.uuid().simple().to_string();
    let (_, piece) = id.split_at(24);
    let format = format.as_str();
    // Names have at most 63 characters, and so have volumes'.
    let room = hv_model::name::MAX_LENGTH.saturating_sub(piece.len() + format.len() + 2);
    let short: String = name.as_str().chars().take(room).collect();
    format!("{short}.{piece}.{format}").parse()
}

fn read(volume: &VolumeName) -> Option<(ImageName, VolumeFormat)> {
    let (rest, format) = volume.as_str().rsplit_once('.')?;
    let format = match format {
        "qcow2" => VolumeFormat::Qcow2,
        "raw" => VolumeFormat::Raw,
        _ => return None,
    };
    let (name, piece) = rest.rsplit_once('.')?;
    let is_piece = piece.len() == 8 && piece.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_piece {
        Some((name.parse().ok()?, format))
    } else {
        None
    }
}

impl Observer {
    /// Takes over the images that lie in the pools, into a new database.
    pub(super) async fn rebuild_images(&self) -> Result<()> {
        let pools = self.0.store.inventory().snapshot().pools.clone();
        let mut volumes: Vec<Volume> = Vec::new();
        for pool in pools
            .iter()
            .filter(|pool| pool.active && pool.purpose == PoolPurpose::Images)
        {
            let name = pool.name.clone();
            volumes.extend(
                self.answer("volumes", move |host| host.volumes(&name))
                    .await?,
            );
        }
        self.0
            .store
            .write("observe.rebuild", move |tx| {
                for Volume {
                    volume,
                    capacity,
                    allocation,
                } in volumes
                {
                    let Some((name, format)) = read(&volume.name) else {
                        continue;
                    };
                    if tx.image_named(&name)?.is_some() {
                        continue;
                    }
                    let image = Image {
                        id: ImageId::new(tx.next_id()),
                        name,
                        volume,
                        format,
                        virtual_size: capacity,
                        size: allocation,
                        blake3: String::new(),
                        created: tx.now(),
                    };
                    tx.put_image(&image)?;
                    let subject = Subject {
                        kind: "image".to_owned(),
                        id: image.id.to_string(),
                        name: image.name.to_string(),
                    };
                    tx.append_event(EventKind::ImageAdded, &subject, &json!({ "by": "rebuild" }))?;
                }
                tx.put_host_fact("rebuilt", &true)
            })
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_image_is_found_again_by_its_volume() {
        let name: ImageName = "debian-12.5".parse().unwrap();
        let id = ImageId::new(Uuid::from_u128(0x1234_5678));
        let volume = image_volume(&name, id, VolumeFormat::Qcow2).unwrap();
        assert_eq!(volume.as_str(), "debian-12.5.12345678.qcow2");
        assert_eq!(read(&volume), Some((name, VolumeFormat::Qcow2)));
    }

    #[test]
    fn the_longest_name_still_fits() {
        let name: ImageName = "x".repeat(63).parse().unwrap();
        let volume = image_volume(&name, ImageId::new(Uuid::nil()), VolumeFormat::Raw).unwrap();
        assert_eq!(volume.as_str().len(), 63);
    }

    #[test]
    fn other_files_are_no_images() {
        for other in [
            "debian.qcow2",
            "debian.1234567g.qcow2",
            "debian.12345678.iso",
        ] {
            assert_eq!(read(&other.parse().unwrap()), None, "{other}");
        }
    }
}
