// SPDX-License-Identifier: GPL-3.0-or-later
//! API tokens: `hvt_ID_SECRET`, made by people for programs.

use std::time::Duration;

use hv_model::{
    access::{ApiToken, MadeToken, NewToken},
    id::TokenId,
    name::UserName,
    problem::Problem,
    secret::Secret,
};

use super::{Authenticator, Whence, authenticate::faulty, random, session::NOTED};
use crate::{
    clock::later,
    store::{Result as StoreResult, WriteTransaction},
};

/// What a token begins with.
const KIND: &str = "hvt_";
/// For how many days a token may be good.
const DAYS: std::ops::RangeInclusive<u32> = 1..=365;
/// How many VMs a token may be narrowed to by name.
const VMS: usize = 100;
/// How many letters and digits a token's secret has: 256 bits in base 32.
const SECRET: usize = 52;

impl Authenticator {
    /// Makes a token for a person. Its secret is not kept, so it is told this once.
    pub async fn make_token(&self, owner: UserName, new: NewToken) -> Result<MadeToken, Problem> {
        check(&new)?;
        let secret = random::secret("")?;
        let digest = random::digest(secret.expose());
        let lasts = Duration::from_secs(u64::from(new.days) * 24 * 60 * 60);
        let mut scope = new.scope;
        scope.roles.sort_unstable();
        scope.roles.dedup();
        scope.vms.sort_unstable();
        scope.vms.dedup();
        let made = self.0.store.write("make a token", move |write| {
            let token = ApiToken {
                id: TokenId::new(write.next_id()),
                name: new.name,
                owner,
                scope,
                created: write.now(),
                expires: later(write.now(), lasts),
                last_used: None,
                last_from: None,
            };
            write.add_token(&token, &digest)?;
            Ok(token)
        });
        let token = made.await?;
        let bearer = Bearer {
            id: token.id,
            secret: secret.expose(),
        };
        let bearer = bearer.write();
        Ok(MadeToken { token, bearer })
    }

    /// The token that this is, if it is still good.
    pub async fn token(&self, bearer: &str, whence: &Whence) -> StoreResult<Option<ApiToken>> {
        let Some(Bearer { id, secret }) = Bearer::read(bearer) else {
            return Ok(None);
        };
        let inner = &self.0;
        let found = inner.store.read(move |read| read.token(id)).await?;
        let now = inner.clock.now();
        // Digests are compared in constant time.
        let is_it = |(token, kept): &(ApiToken, random::Digest)| {
            *kept == random::digest(secret) && now < token.expires
        };
        let Some((token, _)) = found.filter(is_it) else {
            return Ok(None);
        };
        let from = whence.address_text();
        let is_noted = token.last_used.is_some_and(|used| now < later(used, NOTED));
        if !is_noted {
            let write = move |write: &WriteTransaction<'_>| write.touch_token(id, &from);
            if let Err(error) = inner.store.write("note a token's use", write).await {
                tracing::warn!(token = %id, %error, "the use of token {id} is not noted");
            }
        }
        Ok(Some(token))
    }
}

/// What a program carries: which token it is, and what shows that it is theirs.
pub struct Bearer<'a> {
    /// The token.
    pub id: TokenId,
    /// Its secret.
    pub secret: &'a str,
}

impl<'a> Bearer<'a> {
    /// The parts of a text, if it has the form of a token.
    pub fn read(text: &'a str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(KIND)?.split_once('_')?;
        let is_written_so = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        let has_form = id.len() == 32
            && secret.len() == SECRET
            && id.bytes().chain(secret.bytes()).all(is_written_so);
        has_form.then(|| id.parse().ok().map(|id| Self { id, secret }))?
    }

    /// The text that says both.
    pub fn write(&self) -> Secret {
        Secret::from(format!("{KIND}{}_{}", self.id.uuid().simple(), self.secret))
    }
}

fn check(new: &NewToken) -> Result<(), Problem> {
    if !DAYS.contains(&new.days) {
        return Err(faulty("days", "a token is good for 1 to 365 days"));
    }
    if new.scope.roles.is_empty() {
        return Err(faulty("scope.roles", "a token needs a role to act in"));
    }
    if new.scope.vms.len() > VMS {
        return Err(faulty(
            "scope.vms",
            "a token is narrowed to at most 100 VMs by name",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_says_its_id_and_its_secret() {
        let secret = "a".repeat(SECRET);
        let id = "0198c1f0111172228333444455556666";
        let bearer = format!("hvt_{id}_{secret}");
        let found = Bearer::read(&bearer).unwrap();
        assert_eq!(found.id.uuid().simple().to_string(), id);
        assert_eq!(found.secret, secret);
        assert_eq!(found.write().expose(), bearer);
        for bad in [
            String::new(),
            format!("hvs_{id}_{secret}"),
            format!("hvt_{id}_{secret}a"),
            format!("hvt_{id}{secret}"),
            format!("hvt_{{{id}}}_{secret}"),
            format!("hvt_{}_{secret}", "0198c1f0-1111-7222-8333-4444"),
        ] {
            assert!(Bearer::read(&bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_a_token_fail(text in "(hvt_)?[a-z0-9_\\PC]{0,100}") {
            let _ = Bearer::read(&text);
        }
    }
}
