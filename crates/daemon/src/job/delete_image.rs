// SPDX-License-Identifier: GPL-3.0-or-later
//! Deleting an image that nothing needs.

use hv_model::{
    event::{EventKind, Subject},
    id::ImageId,
    name::ImageName,
    operation::Target,
    problem::{Problem, ProblemKind},
};
use serde_json::Value;

use super::{Job, OnRestart};
use crate::engine::{Context, Lock, Outcome, Step, Stop, check};

pub(crate) struct DeleteImage {
    image: ImageId,
    name: ImageName,
}

impl Job for DeleteImage {
    const ON_RESTART: OnRestart = OnRestart::Resume;

    fn read(target: &Target, _parameters: &Value) -> Result<Self, Problem> {
        let name = target.name.parse().map_err(|error| {
            Problem::new(
                ProblemKind::Internal,
                format!("The operation's row: {error}."),
            )
        })?;
        Ok(Self {
            image: super::image(target)?,
            name,
        })
    }

    fn locks(&self) -> Vec<Lock> {
        vec![Lock::image(self.name.clone())]
    }

    async fn run(self, context: &mut Context) -> Result<Outcome, Stop> {
        let id = self.image;
        let image = context
            .store()
            .read(move |tx| {
                let image = tx.image(id)?.ok_or_else(|| check::no_image(id))?;
                check::image_is_unused(tx, &image)?;
                Ok(image)
            })
            .await?;
        let volume = image.volume;
        let step = Step::new(format!("Delete {} from pool {}", self.name, volume.pool)).command(
            format!("virsh vol-delete {} --pool {}", volume.name, volume.pool),
        );
        context
            .call(step, "delete_volume", move |host| {
                host.delete_volume(&volume)
            })
            .await?;
        let name = self.name.to_string();
        Ok(Outcome::record(move |tx| {
            tx.remove_image(id)?;
            let (id, name) = (id.to_string(), name.clone());
            let subject = Subject {
                kind: "image".to_owned(),
                id,
                name,
            };
            tx.append_event(EventKind::ImageRemoved, &subject, &Value::Null)?;
            Ok(())
        }))
    }
}
