// SPDX-License-Identifier: GPL-3.0-or-later
//! A limit: a number, a size, or `none`.

use std::{borrow::Cow, fmt, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, schema::Type};

use crate::size::Size;

/// How limits are written that are none.
const NONE: &str = "none";

/// How much there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit<T> {
    /// So much and no more.
    AtMost(T),
    /// As much as there is: `none`.
    Unlimited,
}

/// How many of something there may be.
pub type CountLimit = Limit<u32>;
/// How large something may be.
pub type SizeLimit = Limit<Size>;

/// What a limit can be of.
pub trait LimitValue: Copy + fmt::Display + FromStr + Serialize {
    /// What a limit of it is called in descriptions.
    const NAME: &str;
    /// What it looks like, in words.
    const FORM: &str;
    /// It as a number, in its own unit.
    fn number(self) -> u64;
    /// It from a number, if that is one.
    fn of_number(number: u64) -> Option<Self>;
    /// It as descriptions say it.
    fn schema() -> Schema;
}

impl LimitValue for u32 {
    const NAME: &str = "CountLimit";
    const FORM: &str = "a number such as 20, or none";

    fn number(self) -> u64 {
        self.into()
    }

    fn of_number(number: u64) -> Option<Self> {
        number.try_into().ok()
    }

    fn schema() -> Schema {
        let number = ObjectBuilder::new().schema_type(Type::Integer);
        number.minimum(Some(0)).examples([20]).into()
    }
}

impl LimitValue for Size {
    const NAME: &str = "SizeLimit";
    const FORM: &str = "a size such as 500 GiB, or none";

    fn number(self) -> u64 {
        self.bytes()
    }

    fn of_number(number: u64) -> Option<Self> {
        Some(Self::from_bytes(number))
    }

    fn schema() -> Schema {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.examples(["500 GiB"]).into()
    }
}

/// A text that is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a limit: write {form}")]
pub struct LimitError {
    value: String,
    form: &'static str,
}

impl<T: LimitValue> FromStr for Limit<T> {
    type Err = LimitError;
    fn from_str(text: &str) -> Result<Self, LimitError> {
        if text == NONE {
            return Ok(Self::Unlimited);
        }
        text.parse().map(Self::AtMost).map_err(|_| LimitError {
            value: text.chars().take(40).collect(),
            form: T::FORM,
        })
    }
}

impl<T: fmt::Display> fmt::Display for Limit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => most.fmt(f),
            Self::Unlimited => f.pad(NONE),
        }
    }
}

impl<T: LimitValue> Serialize for Limit<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::AtMost(most) => most.serialize(serializer),
            Self::Unlimited => serializer.serialize_str(NONE),
        }
    }
}

impl<'de, T: LimitValue> Deserialize<'de> for Limit<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<T: LimitValue> de::Visitor<'_> for Visitor<T> {
            type Value = Limit<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::FORM)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Limit<T>, E> {
                let value = T::of_number(number).map(Limit::AtMost);
                value.ok_or_else(|| wrong::<T, E>(number.to_string()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Limit<T>, E> {
                match u64::try_from(number) {
                    Ok(number) => self.visit_u64(number),
                    Err(_) => Err(wrong::<T, E>(number.to_string())),
                }
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit<T>, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor(PhantomData))
    }
}

fn wrong<T: LimitValue, E: de::Error>(value: String) -> E {
    let form = T::FORM;
    E::custom(LimitError { value, form })
}

impl<T: LimitValue> utoipa::PartialSchema for Limit<T> {
    fn schema() -> RefOr<Schema> {
        let none = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some([NONE]));
        OneOfBuilder::new().item(T::schema()).item(none).into()
    }
}

impl<T: LimitValue> utoipa::ToSchema for Limit<T> {
    fn name() -> Cow<'static, str> {
        T::NAME.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_a_size_or_none() {
        assert_eq!("20".parse(), Ok(Limit::AtMost(20_u32)));
        assert_eq!("2 GiB".parse(), Ok(Limit::AtMost(Size::from_gib(2))));
        assert_eq!("none".parse(), Ok(Limit::<u32>::Unlimited));
        assert_eq!(serde_json::from_str("20").ok(), Some(Limit::AtMost(20_u32)));
        for text in ["Limit::AtMost(20)", "-1", "20 GiB", "", "unlimited"] {
            let error = text.parse::<Limit<u32>>().unwrap_err().to_string();
            assert!(error.contains("or none"), "{error}");
        }
        for json in ["-1", "4294967296", "true", "1.5", "[]"] {
            assert!(serde_json::from_str::<Limit<u32>>(json).is_err(), "{json}");
        }
    }
}
