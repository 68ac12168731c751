// SPDX-License-Identifier: GPL-3.0-or-later
//! The parts of a located tree as serde asks for them: items, entries, keys and variants.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
    value::BorrowedStrDeserializer,
};

use super::{
    error::{Cause, Error, Known, Place},
    node::{Entry, Kind, Node},
};

/// The nodes of a list that were not taken out.
pub(super) struct Items<'a> {
    nodes: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    length: usize,
    given: usize,
}

impl<'a> Items<'a> {
    pub(super) fn new(nodes: &'a [Node]) -> Self {
        let length = nodes.iter().filter(|node| node.is_present()).count();
        Self {
            nodes: nodes.iter().enumerate(),
            length,
            given: 0,
        }
    }

    /// Refuses a list of which not everything was asked for.
    pub(super) fn end(&self) -> Result<(), Error> {
        if self.given < self.length {
            let expected = match self.given {
                1 => "a list of 1 value".to_owned(),
                given => format!("a list of {given} values"),
            };
            return Err(Error::new(Cause::Length {
                length: self.length,
                expected,
            }));
        }
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some((index, node)) = self.nodes.find(|(_, node)| node.is_present()) else {
            return Ok(None);
        };
        self.given += 1;
        seed.deserialize(node)
            .map(Some)
            .map_err(|error| error.inside(index, Place::Value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.length - self.given)
    }
}

/// The entries of a group that were not taken out.
pub(super) struct Entries<'a> {
    entries: std::iter::Enumerate<std::slice::Iter<'a, Entry>>,
    current: Option<(usize, &'a Node)>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(entries: &'a [Entry]) -> Self {
        Self {
            entries: entries.iter().enumerate(),
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((index, entry)) = self.entries.find(|(_, entry)| entry.node.is_present()) else {
            return Ok(None);
        };
        self.current = Some((index, &entry.node));
        seed.deserialize(Key(&entry.key))
            .map(Some)
            .map_err(|error| error.inside(index, Place::Key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((index, node)) = self.current.take() else {
            return Err(Error::new(Cause::Other(
                "has a value without a key".to_owned(),
            )));
        };
        seed.deserialize(node)
            .map_err(|error| error.inside(index, Place::Value))
    }
}

/// The key of an entry.
struct Key<'a>(&'a str);

macro_rules! parsed_keys {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => visitor.visit_borrowed_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    parsed_keys! {
        deserialize_bool visit_bool
        deserialize_i8 visit_i64 deserialize_i16 visit_i64 deserialize_i32 visit_i64
        deserialize_i64 visit_i64 deserialize_i128 visit_i128
        deserialize_u8 visit_u64 deserialize_u16 visit_u64 deserialize_u32 visit_u64
        deserialize_u64 visit_u64 deserialize_u128 visit_u128
        deserialize_f32 visit_f64 deserialize_f64 visit_f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: Known,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(Variant::bare(self.0))
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

/// One variant of an enum: its name, and what it holds, if it was written with a value.
pub(super) struct Variant<'a> {
    name: &'a str,
    content: Option<(usize, &'a Node)>,
}

impl<'a> Variant<'a> {
    pub(super) fn bare(name: &'a str) -> Self {
        Self {
            name,
            content: None,
        }
    }

    pub(super) fn full(index: usize, entry: &'a Entry) -> Self {
        Self {
            name: &entry.key,
            content: Some((index, &entry.node)),
        }
    }

    fn read<T>(self, read: impl FnOnce(&'a Node) -> Result<T, Error>) -> Result<T, Error> {
        match self.content {
            Some((index, node)) => read(node).map_err(|error| error.inside(index, Place::Value)),
            None => Err(Error::new(Cause::BareVariant(self.name.to_owned()))),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = BorrowedStrDeserializer::<Error>::new(self.name);
        match (seed.deserialize(name), self.content) {
            (Ok(value), _) => Ok((value, self)),
            (Err(error), Some((index, _))) => Err(error.inside(index, Place::Key)),
            (Err(error), None) => Err(error),
        }
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            Some((index, node)) if !matches!(node.kind, Kind::Null) => {
                Err(Error::mismatch(node.found(), "unit", &[]).inside(index, Place::Value))
            }
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.read(|node| seed.deserialize(node))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Error> {
        self.read(|node| node.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: Known, visitor: V) -> Result<V::Value, Error> {
        self.read(|node| node.deserialize_struct("", fields, visitor))
    }
}
