// SPDX-License-Identifier: GPL-3.0-or-later
//! libvirt's lists of named, typed values, read into Rust and built from it.

use std::ffi::{CStr, c_int};

use virt_sys as sys;

use crate::error::{Result, borrowed_text, done, text};

/// A value of a typed parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number of 32 or 64 bits.
    Signed(i64),
    /// A whole number of 32 or 64 bits that is not negative.
    Unsigned(u64),
    /// Any other number.
    Double(f64),
    /// Whether something is so.
    Boolean(bool),
    /// A text.
    Text(String),
}

impl Value {
    /// The value as a count; libvirt uses -1 for "not known".
    pub(crate) fn count(&self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(*value),
            Self::Signed(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The value as one of libvirt's codes.
    pub(crate) fn code(&self) -> Option<i32> {
        match self {
            Self::Signed(value) => i32::try_from(*value).ok(),
            Self::Unsigned(value) => i32::try_from(*value).ok(),
            _ => None,
        }
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        if let Self::Boolean(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    pub(crate) fn text(self) -> Option<String> {
        if let Self::Text(value) = self {
            Some(value)
        } else {
            None
        }
    }
}

/// Calls `visit` with the name and value of each parameter; skips names that are not UTF-8.
///
/// # Safety
/// `list` must be null or point at `count` parameters that libvirt filled in and that stay valid
/// during the call.
pub(crate) unsafe fn visit(
    list: sys::virTypedParameterPtr,
    count: c_int,
    mut visit: impl FnMut(&str, Value),
) {
    let count = usize::try_from(count).unwrap_or(0);
    if list.is_null() || count == 0 {
        return;
    }
    // SAFETY: the caller promises `count` valid parameters.
    let parameters = unsafe { std::slice::from_raw_parts(list, count) };
    for parameter in parameters {
        let field = parameter.field.map(c_char_to_byte);
        let Some(name) = CStr::from_bytes_until_nul(&field)
            .ok()
            .and_then(|c| c.to_str().ok())
        else {
            continue;
        };
        // SAFETY: libvirt set the member of the union that the type names.
        if let Some(value) = unsafe { read(parameter) } {
            visit(name, value);
        }
    }
}

#[allow(
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "a byte, whatever C calls it"
)]
const fn c_char_to_byte(character: std::ffi::c_char) -> u8 {
    character as u8
}

/// # Safety
/// The parameter's type must name the member of the union that is set.
unsafe fn read(parameter: &sys::virTypedParameter) -> Option<Value> {
    let value = &parameter.value;
    // SAFETY: each arm reads the member that the type names; the text of a string parameter is
    // null or NUL-terminated and lives as long as the list.
    unsafe {
        match u32::try_from(parameter.type_).ok()? {
            sys::VIR_TYPED_PARAM_INT => Some(Value::Signed(value.i.into())),
            sys::VIR_TYPED_PARAM_UINT => Some(Value::Unsigned(value.ui.into())),
            sys::VIR_TYPED_PARAM_LLONG => Some(Value::Signed(value.l)),
            sys::VIR_TYPED_PARAM_ULLONG => Some(Value::Unsigned(value.ul)),
            sys::VIR_TYPED_PARAM_DOUBLE => Some(Value::Double(value.d)),
            sys::VIR_TYPED_PARAM_BOOLEAN => Some(Value::Boolean(value.b != 0)),
            sys::VIR_TYPED_PARAM_STRING => borrowed_text(value.s).map(Value::Text),
            _ => None,
        }
    }
}

/// A list of parameters on its way to libvirt; freed when dropped.
pub(crate) struct Parameters {
    list: sys::virTypedParameterPtr,
    count: c_int,
    capacity: c_int,
    /// The function that the list is for, for its errors.
    function: &'static str,
}

impl Parameters {
    pub(crate) fn new(function: &'static str) -> Self {
        Self {
            list: std::ptr::null_mut(),
            count: 0,
            capacity: 0,
            function,
        }
    }

    /// Takes over a list that libvirt allocated for the caller, so that it is freed.
    pub(crate) fn adopt(
        list: sys::virTypedParameterPtr,
        count: c_int,
        function: &'static str,
    ) -> Self {
        Self {
            list,
            count,
            capacity: count,
            function,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The list and its length, for a call to libvirt; valid as long as `self` is not changed.
    pub(crate) fn raw(&self) -> (sys::virTypedParameterPtr, c_int) {
        (self.list, self.count)
    }

    /// Calls `each` with every parameter of the list.
    pub(crate) fn for_each(&self, each: impl FnMut(&str, Value)) {
        // SAFETY: the list belongs to `self`, was filled by libvirt and has `count` entries.
        unsafe { visit(self.list, self.count, each) };
    }

    pub(crate) fn add_u64(&mut self, name: &CStr, value: u64) -> Result<()> {
        let (list, count, capacity) = (
            &raw mut self.list,
            &raw mut self.count,
            &raw mut self.capacity,
        );
        // SAFETY: the three describe one list that libvirt grows; the name is a valid string.
        let added =
            unsafe { sys::virTypedParamsAddULLong(list, count, capacity, name.as_ptr(), value) };
        done(added, self.function)
    }

    pub(crate) fn add_i64(&mut self, name: &CStr, value: i64) -> Result<()> {
        let (list, count, capacity) = (
            &raw mut self.list,
            &raw mut self.count,
            &raw mut self.capacity,
        );
        // SAFETY: the three describe one list that libvirt grows; the name is a valid string.
        let added =
            unsafe { sys::virTypedParamsAddLLong(list, count, capacity, name.as_ptr(), value) };
        done(added, self.function)
    }

    pub(crate) fn add_u32(&mut self, name: &CStr, value: u32) -> Result<()> {
        let (list, count, capacity) = (
            &raw mut self.list,
            &raw mut self.count,
            &raw mut self.capacity,
        );
        // SAFETY: the three describe one list that libvirt grows; the name is a valid string.
        let added =
            unsafe { sys::virTypedParamsAddUInt(list, count, capacity, name.as_ptr(), value) };
        done(added, self.function)
    }

    pub(crate) fn add_text(&mut self, name: &CStr, value: &str) -> Result<()> {
        let value = text(value, self.function)?;
        let (list, count, capacity) = (
            &raw mut self.list,
            &raw mut self.count,
            &raw mut self.capacity,
        );
        // SAFETY: the three describe one list that libvirt grows and into which it copies the
        // value; both strings are valid for the call.
        let added = unsafe {
            sys::virTypedParamsAddString(list, count, capacity, name.as_ptr(), value.as_ptr())
        };
        done(added, self.function)
    }
}

impl Drop for Parameters {
    fn drop(&mut self) {
        // SAFETY: the list is null or from libvirt, with `count` entries, and is not used again.
        unsafe { sys::virTypedParamsFree(self.list, self.count) };
    }
}

/// Splits a name such as `block.3.rd.bytes` into 3 and `rd.bytes`, for the prefix `block.`.
pub(crate) fn indexed<'name>(name: &'name str, prefix: &str) -> Option<(usize, &'name str)> {
    let (index, rest) = name.strip_prefix(prefix)?.split_once('.')?;
    Some((index.parse().ok()?, rest))
}

/// The entry at `index`, made if it is not there; none past `maximum`, since the index is
/// somebody else's number.
pub(crate) fn entry<T: Default>(list: &mut Vec<T>, index: usize, maximum: usize) -> Option<&mut T> {
    if index >= maximum {
        return None;
    }
    if index >= list.len() {
        list.resize_with(index + 1, T::default);
    }
    list.get_mut(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_read_back() {
        crate::event_loop::start().unwrap();
        let mut parameters = Parameters::new("virConnectSetIdentity");
        parameters.add_u64(c"shares", 7).unwrap();
        parameters.add_i64(c"quota", -1).unwrap();
        parameters.add_u32(c"average", 3).unwrap();
        parameters.add_text(c"user-name", "ada").unwrap();
        let mut read = Vec::new();
        parameters.for_each(|name, value| read.push((name.to_owned(), value)));
        assert_eq!(
            read,
            [
                ("shares".to_owned(), Value::Unsigned(7)),
                ("quota".to_owned(), Value::Signed(-1)),
                ("average".to_owned(), Value::Unsigned(3)),
                ("user-name".to_owned(), Value::Text("ada".to_owned())),
            ]
        );
    }
}
