// SPDX-License-Identifier: GPL-3.0-or-later
//! A located tree as a source of serde's data model.
//!
//! What is read and what is refused is as with `serde_json`, but for one thing: a list is never
//! taken for a struct.

use serde::de::{Deserializer, Visitor};

use super::{
    access::{Entries, Items, Variant},
    error::{Cause, Error, Found, Known},
    node::{Kind, Node},
};

impl Node {
    /// What serde would call this.
    pub(super) fn found(&self) -> Found {
        match &self.kind {
            Kind::Null => Found::Null,
            Kind::Bool(value) => Found::Bool(*value),
            Kind::Int { value, .. } => Found::Int(*value),
            Kind::Float { value, .. } => Found::Float(*value),
            Kind::String(text) => Found::String(text.clone()),
            Kind::Seq(_) => Found::Seq,
            Kind::Map(_) => Found::Other,
        }
    }

    /// Whether this is what serde met.
    pub(super) fn holds(&self, found: &Found) -> bool {
        match (&self.kind, found) {
            (Kind::Null, Found::Null) | (Kind::Seq(_), Found::Seq) => true,
            (Kind::Bool(here), Found::Bool(there)) => here == there,
            (Kind::Int { value, .. }, Found::Int(there)) => value == there,
            (Kind::Float { value, .. }, Found::Float(there)) => value.to_bits() == there.to_bits(),
            (Kind::String(here), Found::String(there)) => here == there,
            _ => false,
        }
    }

    /// Reads a whole number: one that no 64 bits hold is out of range, and not a float.
    fn whole<'de, V: Visitor<'de>>(
        &'de self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.kind {
            Kind::Int { value, .. }
                if i64::try_from(value).is_err() && u64::try_from(value).is_err() =>
            {
                Err(Error::mismatch(self.found(), name, &[]))
            }
            _ => self.deserialize_any(visitor),
        }
    }
}

macro_rules! whole_numbers {
    ($($method:ident $name:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.whole($name, visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Int { value, .. } => match (u64::try_from(*value), i64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_u64(value),
                (_, Ok(value)) => visitor.visit_i64(value),
                // As serde_json does; whoever wants all digits asks for 128 bits.
                #[expect(clippy::cast_precision_loss)]
                _ => visitor.visit_f64(*value as f64),
            },
            Kind::Float { value, .. } => visitor.visit_f64(*value),
            Kind::String(text) => visitor.visit_borrowed_str(text),
            Kind::Seq(nodes) => {
                let mut items = Items::new(nodes);
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            Kind::Map(entries) => visitor.visit_map(Entries::new(entries)),
        }
    }

    whole_numbers! {
        deserialize_i8 "i8" deserialize_i16 "i16" deserialize_i32 "i32" deserialize_i64 "i64"
        deserialize_u8 "u8" deserialize_u16 "u16" deserialize_u32 "u32" deserialize_u64 "u64"
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::Int { value, .. } => visitor.visit_i128(*value),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::Int { value, .. } => match u128::try_from(*value) {
                Ok(value) => visitor.visit_u128(value),
                Err(_) => Err(Error::mismatch(self.found(), "u128", &[])),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::String(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: Known,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::Seq(_) => Err(Error::mismatch(Found::Seq, "a map", fields)),
            _ => self
                .deserialize_any(visitor)
                .map_err(|error| error.hint(fields)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: Known,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::String(name) => visitor.visit_enum(Variant::bare(name)),
            Kind::Map(entries) => {
                let mut present = entries
                    .iter()
                    .enumerate()
                    .filter(|(_, entry)| entry.node.is_present());
                match (present.next(), present.next()) {
                    (Some((index, entry)), None) => visitor.visit_enum(Variant::full(index, entry)),
                    (None, _) => Err(Error::new(Cause::Variants {
                        count: 0,
                        known: variants,
                    })),
                    _ => {
                        let count = present.count() + 2;
                        Err(Error::new(Cause::Variants {
                            count,
                            known: variants,
                        }))
                    }
                }
            }
            _ => Err(Error::mismatch(self.found(), "string or map", variants)),
        }
        .map_err(|error| error.hint(variants))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool f32 f64 char str string unit unit_struct seq tuple tuple_struct map identifier
    }
}
