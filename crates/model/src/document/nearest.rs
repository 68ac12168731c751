// SPDX-License-Identifier: GPL-3.0-or-later
//! The known word that is most like a mistyped one.

/// Longer words are nobody's typing errors, and comparing them is slow.
const MAX_WORD: usize = 64;

/// The candidate most like `word`, if any is like it at all.
///
/// Alike are words with the same letters but for case and `-` or `_`, words of which one begins
/// with the other, and words that differ in at most a third of their letters, where two swapped
/// neighbours count as one difference (Damerau and Levenshtein).
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_WORD {
        return None;
    }
    let word = plain(word);
    candidates
        .into_iter()
        .filter_map(|candidate| Some((difference(&word, &plain(candidate))?, candidate)))
        .min_by_key(|(difference, _)| *difference)
        .map(|(_, candidate)| candidate)
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

fn difference(word: &str, candidate: &str) -> Option<usize> {
    let length = |text: &str| text.chars().count();
    let limit = length(word).max(length(candidate)) / 3;
    let distance = strsim::damerau_levenshtein(word, candidate);
    let begins = (length(word) >= 2 && candidate.starts_with(word))
        || (length(candidate) >= 3 && word.starts_with(candidate));
    if distance <= limit {
        Some(distance)
    } else if begins {
        Some(limit + 1)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KEYS: [&str; 7] = [
        "name",
        "cpus",
        "memory",
        "disks",
        "cloud_init",
        "on_crash",
        "tpm",
    ];

    #[test]
    fn a_typing_error_finds_the_word_that_was_meant() {
        for (typed, meant) in [
            ("nmae", "name"),
            ("cpu", "cpus"),
            ("Memory", "memory"),
            ("cloud-init", "cloud_init"),
            ("mem", "memory"),
            ("diskss", "disks"),
            ("tmp", "tpm"),
        ] {
            assert_eq!(nearest(typed, KEYS), Some(meant), "{typed}");
        }
    }

    #[test]
    fn a_word_like_none_finds_none() {
        for typed in ["", "x", "zebra", "networking", &"n".repeat(5000)] {
            assert_eq!(nearest(typed, KEYS), None, "{typed}");
        }
    }
}
