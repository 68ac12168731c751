// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/vms/{vm}/…`: do something with a VM.

use hv_model::{
    access::Action,
    id::VmId,
    inventory::{AskGuest, RenameVm},
    operation::Operation,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    approval::Grave,
    body::Json,
    caller::Caller,
    operation::Change,
    path::Key,
    precondition::Precondition,
    query::{ChangeQuery, Query, Wait},
    refusal::Answer,
};
use crate::{access::Resource, engine::JobRequest, store::VmRecord};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(start))
        .routes(routes!(shut_down))
        .routes(routes!(force_off))
        .routes(routes!(reboot))
        .routes(routes!(reset))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(save))
        .routes(routes!(rename))
        .routes(routes!(undelete))
        .routes(routes!(purge))
        .routes(routes!(adopt))
}

/// Asks the engine to do something with a VM.
async fn act(
    caller: Caller,
    key: Key,
    wait: Option<Wait>,
    precondition: Precondition,
    action: Action,
    request: impl FnOnce(VmId) -> JobRequest,
) -> Answer {
    let (_, vm) = caller.vm(&key)?;
    let resource = Resource::vm(&vm);
    let decision = if action.is_grave() {
        caller.must_may_grave(destruction(&vm, action)).await?
    } else {
        caller.must_may(action, &resource).await?
    };
    Change {
        caller,
        precondition,
        wait,
        decision,
    }
    .submit(request(vm.row.id))
    .await
}

fn destruction(vm: &VmRecord, action: Action) -> Grave<'_> {
    let name = &vm.row.name;
    Grave {
        action,
        resource: Resource::vm(vm),
        id: Some(vm.row.id.to_string()),
        summary: format!("The VM {name} and its disks are destroyed for good."),
        details: serde_json::Value::Null,
    }
}

macro_rules! actions {
    ($($(#[doc = $doc:literal])* $name:ident = $path:literal, $action:ident $(, $body:ident in $sent:ty)?;)*) => {$(
        $(#[doc = $doc])*
        #[utoipa::path(post, path = $path, tag = "vms",
            params(("vm" = String, Path, description = "Its name or id."), ChangeQuery),
            $(request_body = $sent,)?
            responses(
                (status = 200, body = Operation, description = "It is over."),
                (status = 202, body = Operation, description = "It is under way."),
            ))]
        async fn $name(
            caller: Caller,
            key: Key,
            Query(query): Query<ChangeQuery>,
            precondition: Precondition,
            $(Json(body): Json<$body>,)?
        ) -> Answer {
            act(caller, key, query.wait, precondition, Action::$action, |vm| {
                actions!(@request $action, vm $(, body as $body)?)
            })
            .await
        }
    )*};
    (@request $action:ident, $vm:ident) => { JobRequest::$action($vm) };
    (@request $action:ident, $vm:ident, $body:ident as $kind:ident) => {
        JobRequest::$action($vm, $body)
    };
}

actions! {
    /// Start a VM
    ///
    /// Where its memory was saved, it goes on from there.
    start = "/v1/vms/{vm}/start", VmStart;
    /// Ask a VM's guest to shut down
    ///
    /// First its agent is asked, then the power button is pressed. A guest that does not answer is
    /// left as it is, and the operation fails.
    shut_down = "/v1/vms/{vm}/shut-down", VmShutDown, AskGuest in Option<AskGuest>;
    /// Force a VM off
    ///
    /// As if its power were cut: what its guest has not written is lost. An operation that asks the
    /// guest to shut down or reboot is cancelled.
    force_off = "/v1/vms/{vm}/force-off", VmForceOff;
    /// Ask a VM's guest to reboot
    reboot = "/v1/vms/{vm}/reboot", VmReboot, AskGuest in Option<AskGuest>;
    /// Reset a VM
    ///
    /// As if its reset button were pressed: what its guest has not written is lost. An operation that
    /// asks the guest to shut down or reboot is cancelled.
    reset = "/v1/vms/{vm}/reset", VmReset;
    /// Pause a VM
    ///
    /// It keeps its memory and uses no CPU.
    pause = "/v1/vms/{vm}/pause", VmPause;
    /// Let a paused VM go on
    resume = "/v1/vms/{vm}/resume", VmResume;
    /// Save a VM's memory to disk and stop it
    ///
    /// Starting it goes on where it was.
    save = "/v1/vms/{vm}/save", VmSave;
    /// Give a VM another name
    ///
    /// The VM must be off.
    rename = "/v1/vms/{vm}/rename", VmRename, RenameVm in RenameVm;
    /// Take a VM out of the trash
    undelete = "/v1/vms/{vm}/undelete", VmUndelete;
    /// Destroy a VM in the trash, for good
    purge = "/v1/vms/{vm}/purge", VmPurge;
    /// Take over a VM that was made with another tool
    adopt = "/v1/vms/{vm}/adopt", VmAdopt;
}
