// SPDX-License-Identifier: GPL-3.0-or-later
//! Calls about VMs.

use hv_model::{
    hypervisor::Takeover,
    inventory::{ChangeVm, CreateVm, DeleteVm, IfRunning, VmSummary, VmView},
    operation::Operation,
    page::Page,
    plan::Plan,
    vm::VmState,
};
use hyper::{Method, StatusCode, header, upgrade::Upgraded};
use hyper_util::rt::TokioIo;

use crate::{ChangeOptions, Client, ClientError, Result, Shelf, VmAction, VmFilter, request::Call};

/// An open serial console: what the VM sends can be read, and what is written is sent to it.
pub type Console = TokioIo<Upgraded>;

impl Client {
    /// The VMs that fit a filter.
    pub async fn vms(&self, filter: &VmFilter) -> Result<Page<VmSummary>> {
        let mut call = Call::new(Method::GET, &["vms"])
            .query_if("state", filter.state.map(VmState::as_str))
            .query_if("tag", filter.tag.as_ref())
            .query_if("owner", filter.owner.as_ref())
            .query_if("name", filter.name.as_ref());
        if filter.shelf == Shelf::Trash {
            call = call.query("trash", true);
        }
        self.call(call).await
    }

    /// A VM, by its name or id.
    pub async fn vm(&self, vm: &str) -> Result<VmView> {
        self.call(Call::new(Method::GET, &["vms", vm])).await
    }

    /// Makes a VM.
    pub async fn create_vm(&self, vm: &CreateVm, options: &ChangeOptions) -> Result<Operation> {
        self.call(create(vm)?.options(options)).await
    }

    /// What making a VM would do.
    pub async fn plan_create_vm(&self, vm: &CreateVm) -> Result<Plan> {
        self.call(create(vm)?.query("dry_run", true)).await
    }

    /// Changes a VM's spec.
    pub async fn change_vm(
        &self,
        vm: &str,
        change: &ChangeVm,
        options: &ChangeOptions,
    ) -> Result<Operation> {
        self.call(patch(vm, change)?.options(options)).await
    }

    /// What changing a VM's spec would do, and what it would cost.
    pub async fn plan_change_vm(&self, vm: &str, change: &ChangeVm) -> Result<Plan> {
        self.call(patch(vm, change)?.query("dry_run", true)).await
    }

    /// Moves a VM to the trash.
    pub async fn delete_vm(
        &self,
        vm: &str,
        how: &DeleteVm,
        options: &ChangeOptions,
    ) -> Result<Operation> {
        self.call(delete(vm, how).options(options)).await
    }

    /// What moving a VM to the trash would do.
    pub async fn plan_delete_vm(&self, vm: &str, how: &DeleteVm) -> Result<Plan> {
        self.call(delete(vm, how).query("dry_run", true)).await
    }

    /// Does something with a VM.
    pub async fn act(
        &self,
        vm: &str,
        action: &VmAction,
        options: &ChangeOptions,
    ) -> Result<Operation> {
        let call = Call::new(Method::POST, &["vms", vm, action.path()]).options(options);
        let call = match action {
            VmAction::ShutDown(ask) | VmAction::Reboot(ask) => call.json(ask)?,
            VmAction::Rename(rename) => call.json(rename)?,
            _ => call,
        };
        self.call(call).await
    }

    /// Opens a VM's serial console.
    pub async fn console(&self, vm: &str, takeover: Takeover) -> Result<Console> {
        let mut call = Call::new(Method::GET, &["vms", vm, "console"])
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "hv-console");
        if takeover == Takeover::Force {
            call = call.query("takeover", "force");
        }
        let response = self.send(call.into_request(self, None)?).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = response.status();
            return Err(ClientError::Protocol(format!(
                "the console has the status {status}"
            )));
        }
        let stream = hyper::upgrade::on(response)
            .await
            .map_err(|error| self.broken(&error))?;
        Ok(TokioIo::new(stream))
    }
}

fn create(vm: &CreateVm) -> Result<Call> {
    Call::new(Method::POST, &["vms"]).json(vm)
}

fn patch(vm: &str, change: &ChangeVm) -> Result<Call> {
    Call::new(Method::PATCH, &["vms", vm]).json(change)
}

fn delete(vm: &str, how: &DeleteVm) -> Call {
    let call = Call::new(Method::DELETE, &["vms", vm]);
    match how.running {
        IfRunning::Refuse => call,
        IfRunning::ForceOff => call.query("running", "force-off"),
    }
}
