// SPDX-License-Identifier: GPL-3.0-or-later
//! Who asks, for what, what they were granted, and what the answer is.
//!
//! ```text
//!  Principal ──has──▶ Grant (role, on what) ──▶ Decision: allow, deny, or ask
//!      wants Action on a resource ────────────▶
//! ```

mod action;
mod approval;
mod decision;
mod grant;
mod origin;
mod principal;
mod question;
mod quota;
mod role;
mod token;

pub use self::{
    action::Action,
    approval::{Approval, ApprovalState, Verdict, Wish},
    decision::{Decision, Need},
    grant::{Grant, GrantSource, Grantee, Profile, Scope},
    origin::Origin,
    principal::Principal,
    question::{AccessAnswer, AccessQuestion, AccessView, GrantReach, GrantView},
    quota::{
        CountLimit, Excess, Limit, LimitError, LimitValue, Measure, QuotaLimits, QuotaSource,
        QuotaUse, QuotasView, Share, SizeLimit, Usage, UserQuota, WARNING_PERCENT,
    },
    role::Role,
    token::{ApiToken, MadeToken, NewToken, TokenScope},
};
