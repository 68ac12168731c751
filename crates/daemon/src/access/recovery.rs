// SPDX-License-Identifier: GPL-3.0-or-later
//! Recovery codes: each stands in for a lost second factor, once.

use hv_model::{problem::Problem, secret::Secret};
use zeroize::Zeroizing;

use super::{
    key::SealingKey,
    random::{self, Digest},
};

/// How many there are.
pub(super) const COUNT: usize = 10;
/// How many bytes of chance each has: 80 bits, 16 letters and digits.
const BYTES: usize = 10;

/// New codes, each with what is kept of it.
pub(super) fn codes(key: &SealingKey) -> Result<Vec<(Secret, Digest)>, Problem> {
    (0..COUNT)
        .map(|_| {
            let text = random::lower(&*random::bytes::<BYTES>()?);
            let digest = digest(key, &text);
            Ok((Secret::from(grouped(&text).as_str()), digest))
        })
        .collect()
}

/// What is kept of a code, however it was typed. Without the key nobody can try codes against it.
pub(super) fn digest(key: &SealingKey, code: &str) -> Digest {
    let plain: Zeroizing<String> = Zeroizing::new(
        code.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_lowercase())
            .collect(),
    );
    key.digest("recovery code", plain.as_bytes())
}

/// Groups of four, which are easier to copy by hand.
fn grouped(text: &str) -> Zeroizing<String> {
    let mut grouped = Zeroizing::new(String::new());
    for (place, letter) in text.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            grouped.push('-');
        }
        grouped.push(letter);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_ten_different_ones_which_may_be_typed_as_one_likes() {
        let key = SealingKey::for_test();
        let codes = codes(&key).unwrap();
        assert_eq!(codes.len(), COUNT);
        for (place, (code, kept)) in codes.iter().enumerate() {
            assert_eq!(code.expose().len(), 19);
            let typed = code.expose().to_uppercase().replace('-', " ");
            assert_eq!(digest(&key, &typed), *kept);
            assert!(codes.iter().skip(place + 1).all(|(_, other)| other != kept));
        }
    }
}
