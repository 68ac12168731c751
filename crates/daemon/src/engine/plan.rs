// SPDX-License-Identifier: GPL-3.0-or-later
//! What would happen: the same questions as for the real thing, and nothing done.

use hv_model::{
    id::VmId,
    inventory::{ChangeVm, CreateVm, DeleteVm, ThenStart},
    plan::{Change, Impact, Plan, plan},
    problem::Problem,
    vm::{VmSpec, VmState},
};

use super::{Engine, JobRequest, check};

impl Engine {
    /// What making a VM would do.
    pub async fn plan_create(&self, create: &CreateVm) -> Result<Plan, Problem> {
        self.would_accept(JobRequest::VmCreate(Box::new(create.clone())))
            .await?;
        let spec = &create.spec;
        let state = match create.then {
            ThenStart::Nothing => VmState::Off,
            ThenStart::Start => VmState::Running,
        };
        let always = [
            ("name", spec.name.to_string()),
            ("state", state.as_str().to_owned()),
            ("cpus.count", spec.cpus.count.to_string()),
            ("memory.size", spec.memory.size.to_string()),
        ];
        let asked = plan(&VmSpec::new(spec.name.clone()), spec, VmState::Off)
            .changes
            .into_iter();
        let asked = asked.filter(|change| always.iter().all(|(field, _)| *field != change.field));
        let asked: Vec<(String, String)> = asked.map(|change| (change.field, change.to)).collect();
        let always = always.into_iter().map(|(field, to)| (field.to_owned(), to));
        let changes = always.chain(asked).map(|(field, to)| Change {
            field,
            from: String::new(),
            to,
            impact: Impact::None,
        });
        Ok(Plan {
            changes: changes.collect(),
        })
    }

    /// What a change of a VM would do.
    pub fn plan_change(&self, vm: VmId, change: &ChangeVm) -> Result<Plan, Problem> {
        let snapshot = self.0.store.inventory().snapshot();
        let record = snapshot.vm_by_id(vm).ok_or_else(|| check::no_vm(vm))?;
        crate::job::plan_change(&record.row, change).map(|(_, plan)| plan)
    }

    /// What moving a VM to the trash would do.
    pub async fn plan_delete(&self, vm: VmId, how: &DeleteVm) -> Result<Plan, Problem> {
        self.would_accept(JobRequest::VmDelete(vm, how.clone()))
            .await?;
        let snapshot = self.0.store.inventory().snapshot();
        let record = snapshot.vm_by_id(vm).ok_or_else(|| check::no_vm(vm))?;
        let state = record.row.state;
        // The memory of a VM that is forced off, or that was saved, is lost.
        let loses = state.is_active() || state == VmState::Saved;
        Ok(Plan {
            changes: vec![Change {
                field: "state".to_owned(),
                from: state.as_str().to_owned(),
                to: VmState::Trashed.as_str().to_owned(),
                impact: if loses { Impact::Data } else { Impact::None },
            }],
        })
    }

    /// Refuses what would be refused.
    async fn would_accept(&self, request: JobRequest) -> Result<(), Problem> {
        check::without_store(&request, &self.0.store.inventory().snapshot())?;
        let parameters = request.parameters()?;
        let look = self.0.store.write("operation.plan", move |tx| {
            check::with_store(tx, &request, &parameters, None)
        });
        Ok(look.await?)
    }
}
