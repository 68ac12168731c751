// SPDX-License-Identifier: GPL-3.0-or-later
//! Adding an image from bytes that somebody sends.

use hv_model::{
    event::{EventKind, Subject},
    id::ImageId,
    image::Image,
    name::ImageName,
    operation::Target,
    problem::{Problem, ProblemKind},
    storage::{PoolPurpose, VolumeRef},
};
use serde_json::{Value, json};

use super::{Job, OnRestart};
use crate::{
    engine::{AddImage as Request, BrokenOff, Context, Lock, Outcome, Step, Stop, Undo},
    observe::image_volume,
};

pub(crate) struct AddImage {
    image: ImageId,
    request: Request,
}

impl Job for AddImage {
    // The bytes went with the connection that brought them.
    const ON_RESTART: OnRestart = OnRestart::Undo;

    fn read(target: &Target, parameters: &Value) -> Result<Self, Problem> {
        Ok(Self {
            image: super::image(target)?,
            request: super::parameters(parameters)?,
        })
    }

    fn locks(&self) -> Vec<Lock> {
        vec![Lock::image(self.request.name.clone())]
    }

    async fn run(self, context: &mut Context) -> Result<Outcome, Stop> {
        let (id, name) = (self.image, self.request.name);
        let (format, length) = (self.request.format, self.request.length);
        let upload = context.take_upload().ok_or_else(|| {
            let detail = format!("hvd ended before the bytes of {name} had come.");
            Problem::new(ProblemKind::Interrupted, detail)
        })?;
        let pools = context.look("pools", |host| host.pools()).await?;
        let pool = pools
            .iter()
            .find(|pool| pool.purpose == PoolPurpose::Images && pool.active)
            .ok_or_else(|| {
                Problem::new(ProblemKind::NotFound, "There is no active pool for images.")
                    .with_try("hv host show")
            })?;
        if pool.available.bytes() < length {
            let detail = format!(
                "The pool {} has {} left, and {name} has {length} bytes.",
                pool.name,
                pool.available.rounded()
            );
            return Err(Problem::new(ProblemKind::NoSpace, detail).into());
        }
        let volume_name = image_volume(&name, id, format)
            .map_err(|error| Problem::new(ProblemKind::Internal, format!("{error}.")))?;
        let volume = VolumeRef {
            pool: pool.name.clone(),
            name: volume_name,
        };
        let step = Step::new(format!("Store {name} in pool {}", volume.pool))
            .command(format!(
                "virsh vol-upload {} FILE --pool {}",
                volume.name, volume.pool
            ))
            .undo(Undo::DeleteVolume(volume.clone()));
        let (target, body) = (volume.clone(), upload.body);
        let stored = context
            .call(step, "upload_image", move |host| {
                host.upload_image(&target, format, length, body)
            })
            .await;
        // Bytes that come no more, since somebody asked for that, are no fault of theirs.
        tokio::select! {
            biased;
            () = context.until_cancelled() => return Err(Stop::Cancelled),
            () = std::future::ready(()) => {}
        }
        let gone = |_| Err(BrokenOff::Left("nobody sends it any more".to_owned()));
        let sent = upload.digest.await.unwrap_or_else(gone);
        let (facts, blake3) = match (stored, sent) {
            (Ok(facts), Ok(blake3)) => (facts, blake3),
            // How the bytes broke off says more than that they were too few.
            (Err(Stop::Failed(problem)), Err(broken)) => return Err(said(*problem, &name, broken)),
            (Err(other), _) => return Err(other),
            (Ok(_), Err(broken)) => {
                let detail = format!("The upload of {name} did not end as it should.");
                let problem = Problem::new(ProblemKind::BadRequest, detail);
                return Err(said(problem, &name, broken));
            }
        };
        let result = json!({ "image": id, "blake3": blake3 });
        Ok(Outcome::record(move |tx| {
            let image = Image {
                id,
                name: name.clone(),
                volume: volume.clone(),
                format: facts.format,
                virtual_size: facts.virtual_size,
                size: facts.size,
                blake3: blake3.clone(),
                created: tx.now(),
            };
            tx.put_image(&image)?;
            let (id, name) = (id.to_string(), name.to_string());
            let subject = Subject {
                kind: "image".to_owned(),
                id,
                name,
            };
            tx.append_event(EventKind::ImageAdded, &subject, &Value::Null)?;
            Ok(())
        })
        .with_result(result))
    }
}

/// Why an image was not stored whose bytes broke off.
fn said(problem: Problem, name: &ImageName, broken: BrokenOff) -> Stop {
    let (kind, why) = match broken {
        _ if problem.kind != ProblemKind::BadRequest => return problem.into(),
        BrokenOff::NotWanted => return problem.into(),
        // They may have left on purpose, and nobody is there to mend anything.
        BrokenOff::Left(why) => (ProblemKind::Cancelled, why),
        BrokenOff::Wrong(why) => (ProblemKind::BadRequest, why),
    };
    let detail = format!("The upload of {name} broke off: {why}.");
    Problem::new(kind, detail).into()
}
