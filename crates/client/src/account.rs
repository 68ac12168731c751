// SPDX-License-Identifier: GPL-3.0-or-later
//! Calls about who people and programs are.

use hv_model::{
    access::{ApiToken, MadeToken, NewToken},
    account::{
        Account, AccountState, ChangeAccount, ConfirmTotp, NewAccount, RecoveryCodes, SetPassword,
        TotpEnrolment,
    },
    id::SessionId,
    name::UserName,
    page::Page,
    secret::Secret,
    session::{LoggedIn, Login, Proof, Prove, Session, WhoAmI},
};
use hyper::Method;

use crate::{Client, Result, request::Call};

/// Whose sessions or tokens to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OfWhom {
    /// Those of whoever asks.
    #[default]
    Own,
    /// Those of this person.
    Person(UserName),
    /// Those of everybody.
    Everybody,
}

impl OfWhom {
    fn narrow(&self, call: Call) -> Call {
        match self {
            Self::Own => call,
            Self::Person(name) => call.query("of", name),
            Self::Everybody => call.query("all", "true"),
        }
    }
}

impl Client {
    /// Logs in.
    pub async fn log_in(&self, login: &Login) -> Result<LoggedIn> {
        self.call(Call::new(Method::POST, &["login"]).json(login)?)
            .await
    }

    /// Ends the session that this client carries.
    pub async fn log_out(&self) -> Result<()> {
        self.done(Call::new(Method::POST, &["logout"])).await
    }

    /// Who the daemon takes this client for.
    pub async fn who_am_i(&self) -> Result<WhoAmI> {
        self.call(Call::new(Method::GET, &["whoami"])).await
    }

    /// Proves anew who asks; pass the proof to [`Client::with_proof`].
    pub async fn prove(&self, prove: &Prove) -> Result<Proof> {
        self.call(Call::new(Method::POST, &["proof"]).json(prove)?)
            .await
    }

    /// Sessions, the one that was used last first.
    pub async fn sessions(&self, of: &OfWhom) -> Result<Page<Session>> {
        self.call(of.narrow(Call::new(Method::GET, &["sessions"])))
            .await
    }

    /// Ends a session.
    pub async fn end_session(&self, id: SessionId) -> Result<()> {
        let call = Call::new(Method::DELETE, &["sessions", &id.to_string()]);
        self.done(call).await
    }

    /// Accounts, by name.
    pub async fn accounts(&self) -> Result<Page<Account>> {
        self.call(Call::new(Method::GET, &["accounts"])).await
    }

    /// Makes the first account of a host.
    pub async fn bootstrap(&self, account: &NewAccount) -> Result<Account> {
        self.call(Call::new(Method::POST, &["access", "bootstrap"]).json(account)?)
            .await
    }

    /// Adds an account.
    pub async fn add_account(&self, account: &NewAccount) -> Result<Account> {
        self.call(Call::new(Method::POST, &["accounts"]).json(account)?)
            .await
    }

    /// Enables or disables an account.
    pub async fn set_account_state(&self, name: &str, state: AccountState) -> Result<Account> {
        let change = ChangeAccount { state };
        self.call(Call::new(Method::PATCH, &["accounts", name]).json(&change)?)
            .await
    }

    /// Deletes an account.
    pub async fn delete_account(&self, name: &str) -> Result<()> {
        self.done(Call::new(Method::DELETE, &["accounts", name]))
            .await
    }

    /// Sets an account's password.
    pub async fn set_password(&self, name: &str, set: &SetPassword) -> Result<()> {
        let call = Call::new(Method::PUT, &["accounts", name, "password"]);
        self.done(call.json(set)?).await
    }

    /// Begins a second factor for one's own account.
    pub async fn begin_totp(&self, name: &str) -> Result<TotpEnrolment> {
        self.call(Call::new(Method::POST, &["accounts", name, "totp"]))
            .await
    }

    /// Confirms a second factor with its first code.
    pub async fn confirm_totp(&self, name: &str, code: Secret) -> Result<RecoveryCodes> {
        let call = Call::new(Method::POST, &["accounts", name, "totp", "confirm"]);
        self.call(call.json(&ConfirmTotp { code })?).await
    }

    /// Removes a second factor.
    pub async fn remove_totp(&self, name: &str) -> Result<()> {
        self.done(Call::new(Method::DELETE, &["accounts", name, "totp"]))
            .await
    }

    /// Tokens, by owner and name.
    pub async fn tokens(&self, of: &OfWhom) -> Result<Page<ApiToken>> {
        self.call(of.narrow(Call::new(Method::GET, &["tokens"])))
            .await
    }

    /// Makes a token.
    pub async fn make_token(&self, token: &NewToken) -> Result<MadeToken> {
        self.call(Call::new(Method::POST, &["tokens"]).json(token)?)
            .await
    }

    /// Revokes a token, by its id, or one's own by its name.
    pub async fn revoke_token(&self, token: &str) -> Result<()> {
        self.done(Call::new(Method::DELETE, &["tokens", token]))
            .await
    }
}
