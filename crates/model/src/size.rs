// SPDX-License-Identifier: GPL-3.0-or-later
//! Sizes with units.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes, written as `2 GiB` or `1536 MiB`.
///
/// Binary units (`KiB`, `MiB`, `GiB`, `TiB`, `PiB`) count by 1024, decimal ones (`kB`, `MB`, `GB`,
/// `TB`, `PB`) by 1000; a bare number is bytes. Fractions are taken where they make whole bytes:
/// `1.5 GiB`. It is shown in the largest binary unit that holds it exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, example = "2 GiB", pattern = r"^[0-9]+(\.[0-9]+)? ?([KMGTP]iB|[kMGTP]B|B)?$")]
pub struct Size(u64);

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size: write a number and a unit, such as 512 MiB, 20 GiB or 1.5 TiB")]
pub struct SizeError(pub String);

const UNITS: [(&str, u64); 11] = [
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Size {
    /// A size of so many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A size of so many MiB.
    pub const fn from_mib(mib: u32) -> Self {
        Self((mib as u64) << 20)
    }

    /// A size of so many GiB.
    pub const fn from_gib(gib: u32) -> Self {
        Self((gib as u64) << 30)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of KiB, rounded up: libvirt's unit for memory.
    pub const fn kib(self) -> u64 {
        self.0.div_ceil(1024)
    }

    /// Rounded to one decimal in a fitting binary unit, for people: `19.5 GiB`.
    pub fn rounded(self) -> String {
        let (unit, factor) = UNITS
            .into_iter()
            .take(5)
            .find(|(_, factor)| self.0 >= *factor)
            .unwrap_or(("B", 1));
        if self.0.is_multiple_of(factor) {
            return format!("{} {unit}", self.0 / factor);
        }
        let tenths = (u128::from(self.0) * 10 + u128::from(factor) / 2) / u128::from(factor);
        match tenths % 10 {
            0 => format!("{} {unit}", tenths / 10),
            rest => format!("{}.{rest} {unit}", tenths / 10),
        }
    }

    fn parse(text: &str) -> Option<u64> {
        let text = text.trim();
        let split = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(split)?;
        let unit = unit.trim_start();
        let factor = match unit {
            "" => 1,
            _ => UNITS.into_iter().find(|(name, _)| *name == unit)?.1,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.len() > 9 || number.ends_with('.') {
            return None;
        }
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        let fraction = if fraction.is_empty() {
            0
        } else {
            fraction.parse::<u128>().ok()?
        };
        let scaled = u128::from(whole.parse::<u64>().ok()?)
            .checked_mul(scale)?
            .checked_add(fraction)?
            .checked_mul(u128::from(factor))?;
        if scaled % scale != 0 {
            return None;
        }
        u64::try_from(scaled / scale).ok()
    }
}

impl FromStr for Size {
    type Err = SizeError;
    fn from_str(text: &str) -> Result<Self, SizeError> {
        Self::parse(text)
            .map(Self)
            .ok_or_else(|| SizeError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = UNITS
            .into_iter()
            .take(5)
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(("B", 1));
        f.pad(&format!("{} {unit}", self.0 / factor))
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 512 MiB or 20 GiB")
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                Ok(Size(bytes))
            }
            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
                u64::try_from(bytes)
                    .map(Size)
                    .map_err(|_| E::custom(SizeError(bytes.to_string())))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_understood() {
        for (text, bytes) in [
            ("2 GiB", 2 << 30),
            ("2GiB", 2 << 30),
            ("1.5 GiB", 3 << 29),
            ("10 GB", 10_000_000_000),
            ("4096", 4096),
            ("0 B", 0),
        ] {
            assert_eq!(text.parse::<Size>().unwrap().bytes(), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for bad in [
            "",
            "GiB",
            "2 gib",
            "-1 GiB",
            "1. GiB",
            "0.3 B",
            "2 GiB!",
            "99999999999 PiB",
            "1e3",
        ] {
            assert!(bad.parse::<Size>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn people_see_one_decimal() {
        assert_eq!(Size::from_bytes(20_937_965_568).rounded(), "19.5 GiB");
        assert_eq!(Size::from_bytes(999).rounded(), "999 B");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same_size(bytes: u64) {
            prop_assert_eq!(Size(bytes).to_string().parse::<Size>(), Ok(Size(bytes)));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = text.parse::<Size>();
        }
    }
}
