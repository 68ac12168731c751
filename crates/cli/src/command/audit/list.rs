// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv audit list`: who asked for what, whether they might, and how it ended.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use hv_client::AuditFilter;
use hv_model::{
    access::Action,
    audit::{AuditEntry, AuditOutcome, WantedEntries},
    id::OperationId,
    page::Page,
};

use super::entry;
use crate::{
    arguments::{action, one_of},
    command::operation,
    complete,
    failure::Failure,
    output::moment::When,
    session::Session,
};

/// Which entries to list: those that fit everything that is given.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Those of this person; or of `system`, hvd itself, or `anonymous`.
    #[arg(long, value_name = "USER")]
    who: Option<String>,
    /// Those in which this was asked for, such as vm.start.
    #[arg(long, value_parser = action())]
    action: Option<Action>,
    /// Those about this, such as vm/web.
    #[arg(long = "on", value_name = "WHAT")]
    target: Option<String>,
    /// Those that came out like this.
    #[arg(long, value_parser = one_of(AuditOutcome::ALL, AuditOutcome::as_str))]
    outcome: Option<AuditOutcome>,
    /// Those of this operation: its id, or the end of it.
    #[arg(long, value_name = "ID", add = ArgValueCompleter::new(complete::operations))]
    operation: Option<String>,
    /// Those from then on: how long ago, or a date and time.
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    since: Option<When>,
    /// Those before then.
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: Option<When>,
    /// How many entries at most.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

/// Lists them.
pub(super) async fn run(session: &Session, list: List) -> Result<(), Failure> {
    let (now, zone, limit) = (session.now(), session.zone(), list.limit);
    let moment = |when: When| when.moment(now, &zone);
    let operation = match &list.operation {
        Some(text) => Some(operation_id(session, text).await?),
        None => None,
    };
    let wanted = WantedEntries {
        who: list.who,
        action: list.action,
        target: list.target,
        outcome: list.outcome,
        operation,
        since: list.since.map(moment),
        until: list.until.map(moment),
    };
    let is_narrowed = wanted != WantedEntries::default();
    let entries = gather(session, wanted, limit).await?;
    session.answer(&entries, |page| match page.items.as_slice() {
        [] if is_narrowed => "No entry fits that.\n".to_owned(),
        items => entry::table(items, &zone, session.look),
    })
}

/// The operation that is named; one that is not listed any more by its whole id alone.
async fn operation_id(session: &Session, text: &str) -> Result<OperationId, Failure> {
    match text.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(operation::find(session, text).await?.id),
    }
}

/// Asks on while what was looked through had too few of them.
async fn gather(
    session: &Session,
    wanted: WantedEntries,
    limit: u32,
) -> Result<Page<AuditEntry>, Failure> {
    let mut filter = AuditFilter {
        wanted,
        limit: Some(limit),
        page: None,
    };
    let mut gathered = Page::whole(Vec::new());
    loop {
        let page = session.client.audit(&filter).await?;
        gathered.items.extend(page.items);
        gathered.next_page = page.next_page;
        let count = u32::try_from(gathered.items.len()).unwrap_or(u32::MAX);
        let left = limit.saturating_sub(count);
        if left == 0 || gathered.next_page.is_none() {
            return Ok(gathered);
        }
        filter.limit = Some(left);
        filter.page.clone_from(&gathered.next_page);
    }
}
