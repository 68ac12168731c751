// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/images`: look at images, add and delete them.

use axum::{
    Json,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use hv_model::{
    access::Action, id::ImageId, image::Image, name::ImageName, operation::Operation, page::Page,
    problem::ProblemKind, storage::VolumeFormat,
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    caller::Caller,
    operation::{Change, accepted},
    path::Key,
    precondition::Precondition,
    query::{ChangeQuery, NoParameters, Query, Wait},
    refusal::{Answer, Refusal},
    stored_list::Written,
    upload::Upload,
};
use crate::{
    access::Resource,
    engine::{AddImage, JobRequest},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, add, delete))
}

/// List images
///
/// All of them, by name.
#[utoipa::path(get, path = "/v1/images", tag = "images",
    responses((status = 200, body = Page<Image>)))]
async fn list(caller: Caller, _: Query<NoParameters>, headers: HeaderMap) -> Answer {
    let read = caller
        .api
        .app()
        .store
        .read(|read| Ok(Page::whole(read.images()?)));
    let seen = |image: &Image| caller.may_see(Action::ImageView, &Resource::Image(&image.name));
    let images = read.await?.items.into_iter().filter(seen).collect();
    Ok(Written::new(images)?.answer(&headers))
}

/// Show an image
///
/// By its name or id.
#[utoipa::path(get, path = "/v1/images/{image}", tag = "images",
    params(("image" = String, Path, description = "Its name or id.")),
    responses((status = 200, body = Image)))]
async fn show(caller: Caller, key: Key, _: Query<NoParameters>) -> Answer {
    Ok(Json(find(&caller, &key).await?).into_response())
}

async fn find(caller: &Caller, key: &Key) -> Answer<Image> {
    let (id, name) = (
        key.0.parse::<ImageId>().ok(),
        key.0.parse::<ImageName>().ok(),
    );
    let read = caller.api.app().store.read(move |read| {
        let found = id.map(|id| read.image(id)).transpose()?.flatten();
        match (found, name) {
            (None, Some(name)) => read.image_named(&name),
            (found, _) => Ok(found),
        }
    });
    let seen = |image: &Image| caller.may_see(Action::ImageView, &Resource::Image(&image.name));
    read.await?
        .filter(seen)
        .ok_or_else(|| key.not_found("image", "hv image list"))
}

/// How an image is to be added.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AddQuery {
    /// How its bytes are laid out. It is never guessed.
    format: VolumeFormat,
    /// Wait so long for the operation's end before answering: `30s`, at most `300s`. The answer
    /// is 200 if the operation is over by then, else 202.
    #[param(value_type = Option<String>, example = "30s")]
    #[serde(default)]
    wait: Option<Wait>,
}

/// Add an image
///
/// The body is its bytes; `Content-Length` says how many. Send `Expect: 100-continue` to learn of
/// a taken name before anything is sent. The answer comes once all bytes have arrived.
#[utoipa::path(put, path = "/v1/images/{image}", tag = "images",
    params(("image" = ImageName, Path, description = "Its name."), AddQuery),
    request_body(content = String, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = Operation, description = "It is over."),
        (status = 202, body = Operation, description = "It is under way."),
    ))]
async fn add(
    caller: Caller,
    key: Key,
    Query(query): Query<AddQuery>,
    precondition: Precondition,
    request: Request,
) -> Answer {
    let name: ImageName = key
        .0
        .parse()
        .map_err(|error| Refusal::new(ProblemKind::BadRequest, format!("{error}.")))?;
    let decision = caller
        .must_may(Action::ImageAdd, &Resource::Image(&name))
        .await?;
    let length = length(request.headers())?;
    let (upload, source) = Upload::open().map_err(|error| {
        Refusal::new(
            ProblemKind::Internal,
            format!("The upload cannot be passed on: {error}."),
        )
    })?;
    let image = AddImage {
        name,
        format: query.format,
        length,
    };
    let api = caller.api.clone();
    let change = Change {
        caller,
        precondition,
        wait: query.wait,
        decision,
    };
    let operation = change.queue(JobRequest::ImageAdd(image, source)).await?;
    if operation.state.is_final() {
        return accepted(&api, operation, None).await;
    }
    let stopped = api.app().engine.until_stopped(operation.id);
    upload.pass_on(request.into_body(), length, stopped).await;
    accepted(&api, operation, query.wait).await
}

fn length(headers: &HeaderMap) -> Answer<u64> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    match length.and_then(|length| length.parse().ok()) {
        Some(length @ 1..) => Ok(length),
        Some(0) => Err(Refusal::new(
            ProblemKind::UnsafeImage,
            "An empty file is no image.",
        )),
        None => {
            let detail = "The header Content-Length must say how many bytes the image has.";
            Err(Refusal::with_status(StatusCode::LENGTH_REQUIRED, detail))
        }
    }
}

/// Delete an image
///
/// One that disks are cloned from cannot be deleted.
#[utoipa::path(delete, path = "/v1/images/{image}", tag = "images",
    params(("image" = String, Path, description = "Its name or id."), ChangeQuery),
    responses(
        (status = 200, body = Operation, description = "It is over."),
        (status = 202, body = Operation, description = "It is under way."),
    ))]
async fn delete(
    caller: Caller,
    key: Key,
    Query(query): Query<ChangeQuery>,
    precondition: Precondition,
) -> Answer {
    let image = find(&caller, &key).await?;
    let decision = caller
        .must_may(Action::ImageDelete, &Resource::Image(&image.name))
        .await?;
    let change = Change {
        caller,
        precondition,
        wait: query.wait,
        decision,
    };
    change.submit(JobRequest::ImageDelete(image.id)).await
}
