// SPDX-License-Identifier: GPL-3.0-or-later
//! Passwords: what they must be, and their hashes.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc},
};
use hv_model::{
    document::Fault,
    name::UserName,
    problem::{Problem, ProblemKind},
    secret::Secret,
};
use tokio::sync::Semaphore;

use super::random;

/// What hashing one password costs: 19 MiB, twice over, as OWASP's cheat sheet on the storage of
/// passwords has it.
const MEMORY_KIB: u32 = 19 << 10;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How many passwords are hashed at once, so that logins cannot eat the host's memory.
const AT_ONCE: usize = 2;
/// How long somebody waits for their turn.
const TURN: Duration = Duration::from_secs(10);
/// How many characters a password has.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=256;
/// Words that a password must be more than.
const TRIVIAL: &[&str] = &[
    "password",
    "passwort",
    "passw0rd",
    "p@ssw0rd",
    "qwerty",
    "qwertz",
    "letmein",
    "welcome",
    "changeme",
    "admin",
    "administrator",
    "root",
    "hypervisor",
    "hypernixos",
    "nixos",
    "abcdefghijkl",
    "abcdef",
    "iloveyou",
    "correcthorsebatterystaple",
];

/// What is kept of a password, in the form of PHC: `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[password hash]")
    }
}

impl PasswordHash {
    /// A hash as it was stored.
    pub(crate) const fn stored(text: String) -> Self {
        Self(text)
    }

    /// The hash as it is stored.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hashes passwords, a few at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Passwords {
    free: Arc<Semaphore>,
    /// What a password of nobody is compared with, so that it takes as long as one of somebody.
    nobody: Arc<OnceLock<PasswordHash>>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self {
            free: Arc::new(Semaphore::new(AT_ONCE)),
            nobody: Arc::default(),
        }
    }

    /// The hash of a password that keeps the rules.
    pub(super) async fn hash(
        &self,
        field: &str,
        password: &Secret,
        of: &UserName,
    ) -> Result<PasswordHash, Problem> {
        if let Some(fault) = fault(field, password, of) {
            let detail = format!("The body has a fault: {fault}.");
            return Err(Problem::new(ProblemKind::BadRequest, detail).with_faults(vec![fault]));
        }
        let password = password.clone();
        self.in_turn(move || hash(password.expose())).await?
    }

    /// Whether a password is the one of this hash; without a hash it never is, which takes as long.
    pub(super) async fn matches(
        &self,
        password: &Secret,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, Problem> {
        let (password, hash) = (password.clone(), hash.cloned());
        let nobody = Arc::clone(&self.nobody);
        self.in_turn(move || {
            let known = hash.is_some();
            let against = if let Some(hash) = hash.or_else(|| nobody.get().cloned()) {
                hash
            } else {
                // The first time takes twice as long, which tells nothing about a name.
                let made = self::hash(random::secret("")?.expose())?;
                nobody.get_or_init(|| made).clone()
            };
            // What is too long for a password costs as much as one, and no more.
            let tried = if is_too_long(&password) {
                ""
            } else {
                password.expose()
            };
            let is_it = argon2()
                .verify_password(tried.as_bytes(), against.as_str())
                .is_ok();
            Ok(known && is_it)
        })
        .await?
    }

    /// Does work that costs much, when it is its turn.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = Arc::clone(&self.free).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(TURN, turn).await else {
            let detail = "Too many people log in at once. Try again in a moment.";
            let mut problem = Problem::new(ProblemKind::TooManyAttempts, detail);
            "Try again in a moment.".clone_into(&mut problem.hint);
            return Err(problem);
        };
        // It is carried out even if nobody waits for it any more, and holds its turn until then.
        let working = tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(turn);
            outcome
        });
        working
            .await
            .map_err(|_| Problem::new(ProblemKind::Internal, "A password could not be looked at."))
    }
}

fn argon2() -> Argon2<'static> {
    // These are within what Argon2 takes; a test makes a hash of them.
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &str) -> Result<PasswordHash, Problem> {
    let salt = random::bytes::<16>()?;
    let made: Result<phc::PasswordHash, _> =
        argon2().hash_password_with_salt(password.as_bytes(), &*salt);
    made.map(|hash| PasswordHash(hash.to_string()))
        .map_err(|error| {
            let detail = format!("The password cannot be hashed: {error}.");
            Problem::new(ProblemKind::Internal, detail)
        })
}

fn is_too_long(password: &Secret) -> bool {
    password.expose().len() > 4 * LENGTH.end()
}

/// What is wrong with a password. The fault never shows it.
fn fault(field: &str, password: &Secret, of: &UserName) -> Option<Fault> {
    let text = password.expose();
    let length = text.chars().take(LENGTH.end() + 1).count();
    let what = if length < *LENGTH.start() {
        "it is too short"
    } else if length > *LENGTH.end() {
        "it is too long"
    } else if text.chars().any(char::is_control) {
        "it has a character that cannot be typed"
    } else if is_trivial(text, of) {
        "it is one of the first that anybody would guess"
    } else {
        return None;
    };
    Some(
        Fault::new(field, what).allowed(
            "12 to 256 characters, more than the account's name or a common word with digits",
        ),
    )
}

/// Whether a password is but a name or a common word, with some digits or signs about it, or the
/// same few characters over and over.
fn is_trivial(text: &str, of: &UserName) -> bool {
    let text = text.to_lowercase();
    let letters: String = text
        .chars()
        .filter(|letter| letter.is_alphabetic())
        .collect();
    let name: String = of.as_str().to_lowercase();
    let name_letters: String = name
        .chars()
        .filter(|letter| letter.is_alphabetic())
        .collect();
    let mut distinct: Vec<char> = text.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let is_repeated = |word: &str| !word.is_empty() && letters.replace(word, "").is_empty();
    distinct.len() < 5
        || "01234567890123456789".contains(&text)
        || is_repeated(&name_letters)
        || text.contains(&name) && text.len() < name.len() + 6
        || TRIVIAL
            .iter()
            .any(|word| text.contains(word) && text.len() < word.len() + 8 || is_repeated(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> UserName {
        "ada".parse().unwrap()
    }

    fn refused(text: &str) -> bool {
        fault("password", &Secret::from(text), &name()).is_some()
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_and_no_other_and_nobody_has_one() {
        let passwords = Passwords::new();
        let right = Secret::from("some rare words here");
        let hash = passwords.hash("password", &right, &name()).await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.matches(&right, Some(&hash)).await.unwrap());
        let wrong = Secret::from("some rare words herf");
        assert!(!passwords.matches(&wrong, Some(&hash)).await.unwrap());
        assert!(!passwords.matches(&right, None).await.unwrap());
    }

    #[test]
    fn short_long_and_trivial_passwords_are_refused_and_never_shown() {
        for text in [
            "",
            "short",
            "elevenchars",
            "aaaaaaaaaaaaaaaa",
            "123456789012",
            "password1234",
            "Password2026!",
            "adaadaadaada",
            "ada-12345678",
            "hypernixos12",
            "with\ncontrol characters",
            &"x y z 1 2 3 4".repeat(20),
        ] {
            assert!(refused(text), "{text}");
        }
        let told = fault("password", &Secret::from("Password2026!"), &name()).unwrap();
        assert!(!told.to_string().contains("2026"), "{told}");
        for text in [
            "some rare words here",
            "ada likes nine green boats",
            "Tr0ub4dor&3-and-more",
            "пароль длинный и редкий",
        ] {
            assert!(!refused(text), "{text}");
        }
    }
}
