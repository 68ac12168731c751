// SPDX-License-Identifier: GPL-3.0-or-later
//! Schemas of values that travel as text although they are more than that.

/// Describes types to API clients as text with an example.
macro_rules! text_schema {
    ($($name:ident = $description:literal, $example:literal;)*) => {$(
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some($description))
                    .examples([$example])
                    .build()
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    )*};
}

pub(crate) use text_schema;
