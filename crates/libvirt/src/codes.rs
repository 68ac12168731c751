// SPDX-License-Identifier: GPL-3.0-or-later
//! How libvirt's numbers become types: enums for codes, sets for flags.

/// An enum for libvirt's codes. A code that a newer libvirt added is kept as `Unknown`.
macro_rules! code_enum {
    (
        $(#[$outer:meta])*
        pub enum $name:ident {
            $( $(#[$inner:meta])* $variant:ident = $code:ident, )+
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[$inner])* $variant, )+
            /// A code that a newer libvirt added.
            Unknown(i32),
        }

        impl From<i32> for $name {
            fn from(code: i32) -> Self {
                match u32::try_from(code) {
                    $( Ok(virt_sys::$code) => Self::$variant, )+
                    _ => Self::Unknown(code),
                }
            }
        }
    };
}

/// A set of libvirt's flags.
macro_rules! flag_set {
    (
        $(#[$outer:meta])*
        pub struct $name:ident {
            $( $(#[$inner:meta])* $constant:ident = $flag:ident, )+
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name(u32);

        impl $name {
            /// No flag at all.
            pub const NONE: Self = Self(0);
            $( $(#[$inner])* pub const $constant: Self = Self(virt_sys::$flag); )+

            /// The number that libvirt takes.
            pub(crate) const fn bits(self) -> u32 {
                self.0
            }
        }

        impl std::ops::BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
    };
}

pub(crate) use {code_enum, flag_set};
