// SPDX-License-Identifier: GPL-3.0-or-later
//! Calls about everything but VMs and the adding of images.

use std::time::Duration;

use hv_model::{
    event::Event,
    health::Health,
    host::{HostView, ServerVersion},
    id::OperationId,
    image::Image,
    network::Network,
    operation::{Operation, OperationState},
    page::Page,
    problem::Explanation,
    storage::Pool,
};
use hyper::Method;

use crate::{ChangeOptions, Client, EventFilter, OperationFilter, Result, request::Call};

impl Client {
    /// Every image.
    pub async fn images(&self) -> Result<Page<Image>> {
        self.call(Call::new(Method::GET, &["images"])).await
    }

    /// An image, by its name or id.
    pub async fn image(&self, image: &str) -> Result<Image> {
        self.call(Call::new(Method::GET, &["images", image])).await
    }

    /// Deletes an image, by its name or id.
    pub async fn delete_image(&self, image: &str, options: &ChangeOptions) -> Result<Operation> {
        self.call(Call::new(Method::DELETE, &["images", image]).options(options))
            .await
    }

    /// Every network of the host.
    pub async fn networks(&self) -> Result<Page<Network>> {
        self.call(Call::new(Method::GET, &["networks"])).await
    }

    /// Every managed pool of the host.
    pub async fn pools(&self) -> Result<Page<Pool>> {
        self.call(Call::new(Method::GET, &["pools"])).await
    }

    /// The hosts: in this version, the one that the daemon runs on.
    pub async fn hosts(&self) -> Result<Page<HostView>> {
        self.call(Call::new(Method::GET, &["hosts"])).await
    }

    /// Whether all is well, and what needs attention.
    pub async fn health(&self) -> Result<Health> {
        self.call(Call::new(Method::GET, &["health"])).await
    }

    /// Operations, the newest first.
    pub async fn operations(&self, filter: &OperationFilter) -> Result<Page<Operation>> {
        let call = Call::new(Method::GET, &["operations"])
            .query_if("state", filter.state.map(OperationState::as_str))
            .query_if("vm", filter.vm.as_ref())
            .query_if("limit", filter.limit)
            .query_if("page", filter.page.as_ref());
        self.call(call).await
    }

    /// An operation. With `wait` the answer comes at its end or after that time, whichever is
    /// sooner.
    pub async fn operation(&self, id: OperationId, wait: Option<Duration>) -> Result<Operation> {
        let options = ChangeOptions {
            wait,
            ..ChangeOptions::default()
        };
        let call = Call::new(Method::GET, &["operations", &id.to_string()]).options(&options);
        self.call(call).await
    }

    /// Asks an operation to stop and to undo what it has begun.
    pub async fn cancel(&self, id: OperationId, options: &ChangeOptions) -> Result<Operation> {
        let call = Call::new(Method::POST, &["operations", &id.to_string(), "cancel"]);
        self.call(call.options(options)).await
    }

    /// Up to `limit` events after the one with this number.
    pub async fn events_page(
        &self,
        after: u64,
        limit: u32,
        filter: &EventFilter,
    ) -> Result<Page<Event>> {
        let call = Call::new(Method::GET, &["events"])
            .query("after", after)
            .query("limit", limit)
            .query_if("vm", filter.vm.as_ref());
        self.call(call).await
    }

    /// The catalogue of everything that can go wrong.
    pub async fn problems(&self) -> Result<Page<Explanation>> {
        self.call(Call::new(Method::GET, &["problems"])).await
    }

    /// The API's own description, as `OpenAPI` 3.1.
    pub async fn openapi(&self) -> Result<serde_json::Value> {
        self.call(Call::new(Method::GET, &["openapi.json"])).await
    }

    /// Which version of the daemon answers.
    pub async fn version(&self) -> Result<ServerVersion> {
        self.call(Call::new(Method::GET, &["version"])).await
    }
}
