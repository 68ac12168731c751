// SPDX-License-Identifier: GPL-3.0-or-later
//! Values that have a short form beside their full one.

use serde::{Deserialize, Deserializer};

/// The short form of a value that has a full form, too.
pub(crate) enum Short {
    /// A bare number.
    Number(u64),
    /// A bare text.
    Text(String),
}

/// Reads either a whole table or the one value that says it all, such as `memory: 2 GiB`.
pub(crate) fn short_or_full<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
    Result<T, String>: From<Short>,
{
    struct Visitor<T>(std::marker::PhantomData<T>);
    impl<'de, T> serde::de::Visitor<'de> for Visitor<T>
    where
        T: Deserialize<'de>,
        Result<T, String>: From<Short>,
    {
        type Value = T;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a number, a size or a table")
        }
        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
            Result::from(Short::Number(number)).map_err(E::custom)
        }
        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
            match u64::try_from(number) {
                Ok(number) => self.visit_u64(number),
                Err(_) => Result::from(Short::Text(number.to_string())).map_err(E::custom),
            }
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            Result::from(Short::Text(text.to_owned())).map_err(E::custom)
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(serde::de::value::MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_any(Visitor(std::marker::PhantomData))
}
