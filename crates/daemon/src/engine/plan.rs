// SPDX-License-Identifier: GPL-3.0-or-later
//! What would happen: the same questions as for the real thing, and nothing done.

use hv_model::{
    access::Principal,
    id::VmId,
    inventory::{ChangeVm, CreateVm, DeleteVm, ThenStart},
    plan::{Change, Impact, Plan, plan},
    problem::Problem,
    vm::{VmSpec, VmState},
};

use super::{Engine, JobRequest, check, quota::Asked};

impl Engine {
    /// What making a VM would do.
    pub async fn plan_create(
        &self,
        principal: &Principal,
        create: &CreateVm,
    ) -> Result<Plan, Problem> {
        let request = || JobRequest::VmCreate(Box::new(create.clone()));
        self.would_accept(request()).await?;
        self.would_fit_quotas(principal, request()).await?;
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
    pub async fn plan_change(
        &self,
        principal: &Principal,
        vm: VmId,
        change: &ChangeVm,
    ) -> Result<Plan, Problem> {
        let snapshot = self.0.store.inventory().snapshot();
        let record = snapshot.vm_by_id(vm).ok_or_else(|| check::no_vm(vm))?;
        let (_, plan) = crate::job::plan_change(&record.row, change)?;
        let request = JobRequest::VmChange(vm, Box::new(change.clone()));
        self.would_fit_quotas(principal, request).await?;
        Ok(plan)
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
            let unfinished = check::unfinished(tx)?;
            check::with_store(tx, &unfinished, &request, &parameters, None)
        });
        Ok(look.await?)
    }

    /// Refuses what would be more than a quota allows.
    async fn would_fit_quotas(
        &self,
        principal: &Principal,
        request: JobRequest,
    ) -> Result<(), Problem> {
        let parameters = request.parameters()?;
        let (actor, quotas) = (principal.clone(), self.0.quotas.clone());
        let look = self.0.store.write("quota.plan", move |tx| {
            let asked = Asked {
                actor: &actor,
                request: &request,
                parameters: &parameters,
            };
            quotas.breach(tx, &check::unfinished(tx)?, &asked)
        });
        match look.await? {
            Some(breach) => Err(breach.problem),
            None => Ok(()),
        }
    }
}
