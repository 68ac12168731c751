// SPDX-License-Identifier: GPL-3.0-or-later
//! Plans as tables: what changes, and when.

use hv_model::plan::{Change, Impact};

use crate::output::{Column, Look, Paint, Table, shown, table::Cell};

/// Changes as a table; nothing, if there are none.
pub(super) fn table(changes: &[Change], look: Look) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        Column::text("WHAT"),
        Column::shrinking("FROM"),
        Column::shrinking("TO"),
        Column::text("WHEN"),
    ]);
    for change in changes {
        let (paint, when) = match change.impact {
            Impact::None => (Paint::Plain, "at once"),
            Impact::Live => (Paint::Good, "at once, while it runs"),
            Impact::NextBoot => (Paint::Warning, "at the next boot"),
            Impact::Data => (Paint::Bad, "at once, for good"),
        };
        table.row([
            shown(&change.field).into(),
            shown(&change.from).into(),
            shown(&change.to).into(),
            Cell::painted(paint, when),
        ]);
    }
    table.render(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_is_live_and_what_waits() {
        let change = |field: &str, from: &str, to: &str, impact| Change {
            field: field.into(),
            from: from.into(),
            to: to.into(),
            impact,
        };
        let changes = [
            change("memory.size", "1 GiB", "2 GiB", Impact::Live),
            change("cpus.max", "", "8", Impact::NextBoot),
            change("tags", "prod", "", Impact::None),
            change("disks[1]", "data 20 GiB", "", Impact::Data),
        ];
        insta::assert_snapshot!(table(&changes, Look::plain()));
    }
}
