// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv access quota`: how much of the host each user may have, and has.

use clap::{ArgGroup, Args, Subcommand};
use hv_model::{
    access::{
        CountLimit, Measure, QuotaLimits, QuotaSource, QuotaUse, QuotasView, Share, SizeLimit,
        UserQuota,
    },
    name::UserName,
    problem::{Problem, ProblemKind},
};

use crate::{
    arguments::examples,
    failure::Failure,
    output::{Column, Look, Paint, Table, table::Cell},
    prompt::From,
    proof::with_proof,
    session::Session,
};

/// What stands in a table for what has no limit.
const NO_LIMIT: &str = "-";

/// What to do about quotas.
#[derive(Debug, Subcommand)]
pub(crate) enum QuotaCommand {
    /// List quotas: your own, or everybody's where you may see them.
    #[command(visible_alias = "ls", after_help = examples!(
        "hv access quota list" => "who has how much, and all together",
        "hv access quota list --json" => "the same for a program",
    ))]
    List,
    /// Show a quota, measure by measure.
    #[command(after_help = examples!(
        "hv access quota show" => "what you may have, and have",
        "hv access quota show ada" => "what ada may have, and has",
    ))]
    Show {
        /// Whose; without it, your own.
        user: Option<UserName>,
    },
    /// Set what one user may have; what is not named stays as it is.
    #[command(after_help = examples!(
        "hv access quota set ada --vms 40 --memory 64GiB" => "more than each user may have",
        "hv access quota set ada --disk none" => "no limit but that of all together",
    ))]
    Set(Set),
    /// Forget what was set for one user, who then has what each user may have.
    #[command(after_help = examples!(
        "hv access quota unset ada" => "ada may have what each user may",
        "hv access quota unset ada --json" => "the same for a program",
    ))]
    Unset {
        /// Whose.
        user: UserName,
    },
}

/// What one user may have.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("limit").required(true).multiple(true).args([
    "vms", "running", "vcpus", "memory", "disk", "disk_per_vm", "snapshots", "creations_per_hour",
]))]
pub(crate) struct Set {
    /// Whose.
    user: UserName,
    /// How many VMs, those in the trash left out.
    #[arg(long, value_name = "N|none")]
    vms: Option<CountLimit>,
    /// How many of them may run or be paused.
    #[arg(long, value_name = "N|none")]
    running: Option<CountLimit>,
    /// How many virtual CPUs all VMs together, running or not.
    #[arg(long, value_name = "N|none")]
    vcpus: Option<CountLimit>,
    /// How much memory all VMs together, running or not.
    #[arg(long, value_name = "SIZE|none")]
    memory: Option<SizeLimit>,
    /// How much disk all VMs together, those in the trash included.
    #[arg(long, value_name = "SIZE|none")]
    disk: Option<SizeLimit>,
    /// How much disk one VM.
    #[arg(long, value_name = "SIZE|none")]
    disk_per_vm: Option<SizeLimit>,
    /// How many snapshots one VM.
    #[arg(long, value_name = "N|none")]
    snapshots: Option<CountLimit>,
    /// How many VMs may be made within an hour.
    #[arg(long, value_name = "N|none")]
    creations_per_hour: Option<CountLimit>,
}

impl Set {
    fn limits(&self) -> QuotaLimits {
        QuotaLimits {
            vms: self.vms,
            running: self.running,
            vcpus: self.vcpus,
            memory: self.memory,
            disk: self.disk,
            disk_per_vm: self.disk_per_vm,
            snapshots: self.snapshots,
            creations_per_hour: self.creations_per_hour,
        }
    }
}

/// Runs a command about quotas.
pub(super) async fn run(session: &Session, command: QuotaCommand) -> Result<(), Failure> {
    match command {
        QuotaCommand::List => {
            let quotas = session.client.quotas().await?;
            session.answer(&quotas, |quotas| list(quotas, session.look))
        }
        QuotaCommand::Show { user } => show(session, user).await,
        QuotaCommand::Set(set) => {
            let quotas = session.client.quotas().await?;
            let before = quotas
                .users
                .into_iter()
                .find(|quota| quota.user == set.user);
            let own = before.map(|before| before.own).unwrap_or_default();
            let limits = set.limits().over(&own);
            let quota = with_proof(session, From::Person, async |client| {
                client.set_quota(&set.user, &limits).await
            })
            .await?;
            session.answer(&quota, |quota| page(quota, session.look))
        }
        QuotaCommand::Unset { user } => {
            let quota = with_proof(session, From::Person, async |client| {
                client.unset_quota(&user).await
            })
            .await?;
            session.answer(&quota, |quota| page(quota, session.look))
        }
    }
}

async fn show(session: &Session, user: Option<UserName>) -> Result<(), Failure> {
    let quotas = session.client.quotas().await?;
    let wanted = user.or(quotas.own);
    let mut users = quotas.users.into_iter();
    let found = users.find(|quota| Some(&quota.user) == wanted.as_ref());
    let Some(found) = found else {
        let detail = match wanted {
            Some(user) => format!(
                "No quota of {user} can be seen: {user} has nothing, or it is not yours to see."
            ),
            None => "You are no person, and have no quota.".to_owned(),
        };
        return Err(Problem::new(ProblemKind::NotFound, detail)
            .with_try("hv access quota list")
            .into());
    };
    session.answer(&found, |found| page(found, session.look))
}

/// Quotas as a table: of each measure, how much there is of how much there may be.
fn list(quotas: &QuotasView, look: Look) -> String {
    let mut table = Table::new([
        Column::text("USER"),
        Column::number("VMS"),
        Column::number("RUNNING"),
        Column::number("CPUS"),
        Column::number("MEMORY"),
        Column::number("DISK"),
        Column::number("MADE/H"),
        Column::yielding("SET BY"),
    ]);
    if let Some(total) = &quotas.total {
        row(&mut table, "all together", total, "configuration");
    }
    for quota in &quotas.users {
        row(
            &mut table,
            quota.user.as_str(),
            &quota.quota,
            set_by(quota.source),
        );
    }
    table.render(look)
}

const fn set_by(source: QuotaSource) -> &'static str {
    match source {
        QuotaSource::EachUser => "",
        QuotaSource::Configuration => "configuration",
        QuotaSource::RunTime => "run time",
    }
}

fn row<'a>(table: &mut Table<'a, 8>, who: &'a str, quota: &QuotaUse, set_by: &'a str) {
    let cell = |measure| cell(quota, measure);
    table.row([
        who.into(),
        cell(Measure::Vms),
        cell(Measure::Running),
        cell(Measure::Vcpus),
        cell(Measure::Memory),
        cell(Measure::Disk),
        cell(Measure::CreationsPerHour),
        set_by.into(),
    ]);
}

/// How much there is, of how much there may be, if that is limited.
fn cell<'a>(quota: &QuotaUse, measure: Measure) -> Cell<'a> {
    let used = measure.said(quota.usage.of(measure));
    match quota.limits.most(measure) {
        Some(most) => Cell::painted(
            paint(quota, measure),
            format!("{used} of {}", measure.said(most)),
        ),
        None => used.into(),
    }
}

fn paint(quota: &QuotaUse, measure: Measure) -> Paint {
    let nearly = quota.limits.nearly_used(&quota.usage);
    let share = nearly.into_iter().find(|share| share.measure == measure);
    match share.map(|share| share.percent()) {
        Some(100..) => Paint::Bad,
        Some(_) => Paint::Warning,
        None => Paint::Plain,
    }
}

/// One quota, measure by measure.
fn page(quota: &UserQuota, look: Look) -> String {
    let mut table = Table::new([
        Column::text("QUOTA"),
        Column::number("USED"),
        Column::number("LIMIT"),
        Column::number("SHARE"),
        Column::text("SET BY"),
    ]);
    let of = &quota.quota;
    for measure in Measure::ALL {
        let used = of.usage.of(*measure);
        let most = of.limits.most(*measure);
        let share = most.map(|limit| {
            let measure = *measure;
            let share = Share {
                measure,
                used,
                limit,
            };
            format!("{} %", share.percent())
        });
        let own = quota.own.written(*measure).is_some();
        table.row([
            measure.words().into(),
            measure.said(used).into(),
            most.map_or_else(|| NO_LIMIT.into(), |most| measure.said(most))
                .into(),
            Cell::painted(paint(of, *measure), share.unwrap_or_default()),
            if own { set_by(quota.source) } else { "" }.into(),
        ]);
    }
    let what = format!("The quota of {}:\n\n", quota.user);
    what + &table.render(look)
}

#[cfg(test)]
mod tests {
    use hv_model::{access::Usage, size::Size};

    use super::*;

    fn ada() -> UserQuota {
        let own: QuotaLimits =
            serde_json::from_str(r#"{"vms": 40, "memory": "64 GiB", "running": "none"}"#).unwrap();
        UserQuota {
            user: "ada".parse().unwrap(),
            quota: QuotaUse {
                limits: own.over(&QuotaLimits::of_user()),
                usage: Usage {
                    vms: 36,
                    running: 3,
                    vcpus: 72,
                    memory: Size::from_gib(64),
                    disk: Size::from_gib(1200),
                    disk_per_vm: Size::from_gib(40),
                    snapshots: 0,
                    creations_per_hour: 2,
                },
            },
            source: QuotaSource::RunTime,
            own,
        }
    }

    #[test]
    fn quotas_are_a_table_with_all_together_first() {
        let quotas = QuotasView {
            own: None,
            total: Some(QuotaUse {
                limits: QuotaLimits::of_host(),
                usage: ada().quota.usage,
            }),
            users: vec![ada()],
        };
        insta::assert_snapshot!(list(&quotas, Look::plain()));
    }

    #[test]
    fn one_quota_says_of_each_measure_how_much_of_it_is_used() {
        insta::assert_snapshot!(page(&ada(), Look::plain()));
    }
}
