// SPDX-License-Identifier: GPL-3.0-or-later
//! Calls about quotas.

use hv_model::{
    access::{QuotaLimits, QuotasView, UserQuota},
    name::UserName,
};
use hyper::Method;

use crate::{Client, Result, request::Call};

impl Client {
    /// One's own quota; and for those who may see who may do what, everybody's and the total.
    pub async fn quotas(&self) -> Result<QuotasView> {
        self.call(Call::new(Method::GET, &["access", "quotas"]))
            .await
    }

    /// Sets a user's quota, in place of what was set for just them.
    pub async fn set_quota(&self, user: &UserName, limits: &QuotaLimits) -> Result<UserQuota> {
        self.call(quota(Method::PUT, user).json(limits)?).await
    }

    /// Forgets what was set for just a user.
    pub async fn unset_quota(&self, user: &UserName) -> Result<UserQuota> {
        self.call(quota(Method::DELETE, user)).await
    }
}

fn quota(method: Method, user: &UserName) -> Call {
    Call::new(method, &["access", "quotas", user.as_str()])
}
