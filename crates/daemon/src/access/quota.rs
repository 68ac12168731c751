// SPDX-License-Identifier: GPL-3.0-or-later
//! Which limits hold for whom: the configuration's, and those set while the daemon runs.

use hv_model::{
    access::{QuotaLimits, QuotaSource},
    name::UserName,
};

use crate::config::QuotasConfig;

/// The user whom no quota holds for, unless one is set for just them: the host is root's.
const ROOT: &str = "root";

/// The limits of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserLimits {
    /// Those that hold.
    pub(crate) limits: QuotaLimits,
    /// What was set for just them.
    pub(crate) own: QuotaLimits,
    /// Who set it.
    pub(crate) source: QuotaSource,
}

impl UserLimits {
    /// Those of this user, for whom this was set while the daemon ran. What the configuration says
    /// of a user holds alone: only root changes it.
    pub(crate) fn new(config: &QuotasConfig, user: &UserName, set: Option<QuotaLimits>) -> Self {
        let (own, source) = match (config.users.get(user), set) {
            (Some(configured), _) => (configured.clone(), QuotaSource::Configuration),
            (None, Some(set)) => (set, QuotaSource::RunTime),
            (None, None) => (QuotaLimits::default(), QuotaSource::EachUser),
        };
        let each = if user.as_str() == ROOT {
            QuotaLimits::default()
        } else {
            config.each_user()
        };
        Self {
            limits: own.over(&each),
            own,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use hv_model::access::{Limit, Measure};

    use super::*;

    fn vms(most: u32) -> QuotaLimits {
        QuotaLimits {
            vms: Some(Limit::AtMost(most)),
            ..QuotaLimits::default()
        }
    }

    fn user(name: &str) -> UserName {
        name.parse().unwrap()
    }

    #[test]
    fn what_the_configuration_says_of_a_user_is_not_changed_while_the_daemon_runs() {
        let mut config = QuotasConfig::default();
        config.users.insert(user("ada"), vms(3));
        let ada = UserLimits::new(&config, &user("ada"), Some(vms(9)));
        assert_eq!(ada.limits.most(Measure::Vms), Some(3));
        assert_eq!(ada.source, QuotaSource::Configuration);
        let bob = UserLimits::new(&config, &user("bob"), Some(vms(9)));
        assert_eq!(bob.limits.most(Measure::Vms), Some(9));
        assert_eq!(bob.limits.most(Measure::CreationsPerHour), Some(10));
    }

    #[test]
    fn root_has_no_quota_but_one_that_is_set_for_just_root() {
        let config = QuotasConfig::default();
        let root = UserLimits::new(&config, &user("root"), None);
        assert_eq!(root.limits, QuotaLimits::default());
        let limited = UserLimits::new(&config, &user("root"), Some(vms(1)));
        assert_eq!(limited.limits, vms(1));
    }
}
