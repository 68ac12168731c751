// SPDX-License-Identifier: GPL-3.0-or-later
//! Asking guests who they are, where their agents answer.

use hv_model::{hypervisor::AgentLink, id::VmId, vm::VmState};
use tokio::sync::Semaphore;

use super::Observer;

/// How many guests are asked at once. One that hangs keeps its turn until the host gives up.
static TURNS: Semaphore = Semaphore::const_new(4);

impl Observer {
    /// Asks these guests, in the background.
    pub(super) fn ask_guests(&self, vms: Vec<VmId>) {
        if vms.is_empty() {
            return;
        }
        let observer = self.clone();
        tokio::spawn(async move {
            for vm in vms {
                observer.ask_guest(vm).await;
            }
        });
    }

    async fn ask_guest(&self, vm: VmId) {
        let Ok(_turn) = TURNS.acquire().await else {
            return;
        };
        match self.0.port.call("guest", move |host| host.guest(vm)).await {
            Ok(guest) => self.0.store.inventory().note_guest(vm, Some(guest)),
            Err(error) => tracing::debug!(%vm, %error, "the guest of {vm} does not say who it is"),
        }
    }

    /// Asks every guest whose agent is connected again, in the background.
    pub(super) fn refresh_guests(&self) {
        let snapshot = self.0.store.inventory().snapshot();
        let connected = snapshot
            .vms
            .iter()
            .filter(|vm| {
                vm.row.agent == Some(AgentLink::Connected) && vm.row.state == VmState::Running
            })
            .map(|vm| vm.row.id)
            .collect();
        self.ask_guests(connected);
    }
}
