// SPDX-License-Identifier: GPL-3.0-or-later
//! Codes that change every 30 seconds (RFC 6238): six digits of HMAC-SHA-1, which every app knows.

use hv_model::{name::UserName, problem::Problem, secret::Secret};
use jiff::Timestamp;
use ring::hmac;
use zeroize::Zeroizing;

use super::random;

/// How long a code is shown, in seconds.
const STEP: i64 = 30;
/// How many steps a clock may be off, either way.
const SLACK: i64 = 1;
const DIGITS: usize = 6;
/// How many bytes a secret has: as many as SHA-1's result (RFC 4226, section 4).
const BYTES: usize = 20;
/// Who issues the codes, as apps show it.
const ISSUER: &str = "Hyper-NixOS";

/// A secret that makes codes.
pub(super) struct TotpSecret(Zeroizing<Vec<u8>>);

impl TotpSecret {
    pub(super) fn new() -> Result<Self, Problem> {
        Ok(Self(Zeroizing::new(random::bytes::<BYTES>()?.to_vec())))
    }

    /// A secret as it was kept.
    pub(super) const fn kept(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The step that a code belongs to, if it is one that is good now and comes after the last one
    /// that was used. Every step is looked at, however early one fits.
    pub(super) fn step_of(&self, code: &str, now: Timestamp, last: Option<i64>) -> Option<i64> {
        let current = now.as_second().div_euclid(STEP);
        let mut found = None;
        for step in current - SLACK..=current + SLACK {
            let is_it = constant_time_eq(self.code(step).as_bytes(), code.as_bytes());
            if is_it && last.is_none_or(|last| step > last) {
                found = Some(step);
            }
        }
        found
    }

    /// The code of a step.
    fn code(&self, step: i64) -> Zeroizing<String> {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        // The last four bits say where the code is taken from (RFC 4226, section 5.3).
        let at = usize::from(tag.last().copied().unwrap_or(0) & 15);
        let four = tag.get(at..).and_then(|rest| rest.first_chunk::<4>());
        let number = u32::from_be_bytes(four.copied().unwrap_or_default()) & 0x7fff_ffff;
        Zeroizing::new(format!("{:0DIGITS$}", number % 1_000_000))
    }

    /// The secret in base 32, for who types it.
    pub(super) fn text(&self) -> Secret {
        Secret::from(random::base32(&self.0).as_str())
    }

    /// The address that apps understand.
    pub(super) fn uri(&self, name: &UserName) -> Secret {
        let secret = random::base32(&self.0);
        // A name needs no escape in an address.
        Secret::from(format!(
            "otpauth://totp/{ISSUER}:{name}?secret={}&issuer={ISSUER}&algorithm=SHA1\
             &digits={DIGITS}&period={STEP}",
            *secret
        ))
    }
}

/// Whether a text can be a code of an app, rather than a recovery code.
pub(super) fn is_code(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn constant_time_eq(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .fold(0, |differs, (one, other)| differs | (one ^ other))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret() -> TotpSecret {
        TotpSecret::kept(Zeroizing::new(b"12345678901234567890".to_vec()))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B has eight digits, of which these are the last six.
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(*secret().code(second / STEP), code);
            assert!(secret().step_of(code, at(second), None).is_some());
        }
    }

    #[test]
    fn a_code_is_good_for_one_step_either_way_and_only_once() {
        let secret = secret();
        let code = secret.code(100);
        for (second, good) in [(2_969, false), (2_970, true), (3_059, true), (3_060, false)] {
            assert_eq!(
                secret.step_of(&code, at(second), None).is_some(),
                good,
                "{second}"
            );
        }
        assert_eq!(secret.step_of(&code, at(3_000), Some(99)), Some(100));
        assert_eq!(secret.step_of(&code, at(3_000), Some(100)), None);
        assert_eq!(secret.step_of(&code, at(3_000), Some(101)), None);
    }

    #[test]
    fn an_app_is_told_everything_in_one_address() {
        let uri = secret().uri(&"ada".parse().unwrap());
        assert_eq!(
            uri.expose(),
            "otpauth://totp/Hyper-NixOS:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Hyper-NixOS&algorithm=SHA1&digits=6&period=30"
        );
    }

    proptest! {
        #[test]
        fn no_other_text_is_a_code(text in "\\PC{0,8}", second in 0_i64..4_000_000_000) {
            let secret = secret();
            let now = second / STEP;
            let good = (now - 1..=now + 1).any(|step| *secret.code(step) == text);
            prop_assert_eq!(secret.step_of(&text, at(second), None).is_some(), good);
        }
    }
}
