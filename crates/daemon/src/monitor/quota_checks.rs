// SPDX-License-Identifier: GPL-3.0-or-later
//! Checks of quotas: what is used up, or nearly so.

use hv_model::{
    access::{QuotasView, Share, WARNING_PERCENT},
    health::{Check, CheckStatus},
};

use super::health::{Facts, bad, listed, pass};

pub(super) fn all(facts: &Facts) -> Vec<Check> {
    vec![quota(&facts.quotas, facts.numbers)]
}

/// Whether somebody may know the numbers behind the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// They may.
    Told,
    /// They may not.
    Untold,
}

fn quota(quotas: &QuotasView, numbers: Numbers) -> Check {
    let id = "access.quota";
    let of_total = quotas.total.iter().flat_map(|total| {
        let shares = total.limits.nearly_used(&total.usage);
        shares.into_iter().map(|share| words(share, numbers))
    });
    let of_users = quotas.users.iter().flat_map(|user| {
        let shares = user.quota.limits.nearly_used(&user.quota.usage);
        shares.into_iter().map(|share| share.words(&user.user))
    });
    let nearly: Vec<String> = of_total.chain(of_users).collect();
    if nearly.is_empty() {
        return pass(id, "No quota is nearly used up.");
    }
    bad(
        id,
        CheckStatus::Warn,
        format!("{}.", listed(nearly.iter().map(String::as_str))),
        "What is more than a quota allows is refused: no VM is made, started or enlarged beyond it.",
        [
            "hv access quota list".to_owned(),
            "hv vm list --trash".to_owned(),
        ],
    )
}

fn words(share: Share, numbers: Numbers) -> String {
    let measure = share.measure;
    match numbers {
        Numbers::Told => format!(
            "all together have {} of {} {}",
            measure.said(share.used),
            measure.said(share.limit),
            measure.words()
        ),
        Numbers::Untold => format!(
            "all together have {WARNING_PERCENT} % or more of what they may have: {}",
            measure.words()
        ),
    }
}

#[cfg(test)]
mod tests {
    use hv_model::access::{QuotaLimits, QuotaSource, QuotaUse, Usage, UserQuota};

    use super::*;

    fn quotas(total: u64, ada: u64) -> QuotasView {
        let have = |vms| Usage {
            vms,
            ..Usage::default()
        };
        QuotasView {
            own: None,
            total: Some(QuotaUse {
                limits: QuotaLimits::of_host(),
                usage: have(total),
            }),
            users: vec![UserQuota {
                user: "ada".parse().unwrap(),
                quota: QuotaUse {
                    limits: QuotaLimits::of_user(),
                    usage: have(ada),
                },
                source: QuotaSource::EachUser,
                own: QuotaLimits::default(),
            }],
        }
    }

    #[test]
    fn from_ninety_percent_on_there_is_a_warning() {
        let check = quota(&quotas(89, 17), Numbers::Told);
        assert_eq!(check.status, CheckStatus::Pass);
        let check = quota(&quotas(90, 18), Numbers::Told);
        assert_eq!(check.status, CheckStatus::Warn);
        assert_eq!(
            check.observed,
            "all together have 90 of 100 VMs, ada has 18 of 20 VMs."
        );
    }

    #[test]
    fn who_may_not_know_it_is_not_told_how_much_others_have() {
        let check = quota(&quotas(93, 1), Numbers::Untold);
        assert_eq!(check.status, CheckStatus::Warn);
        assert!(!check.observed.contains("93"), "{}", check.observed);
    }
}
