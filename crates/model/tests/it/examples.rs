// SPDX-License-Identifier: GPL-3.0-or-later
//! The examples that users start from can be carried out as they are.

use std::path::{Path, PathBuf};

use crate::specs;

/// The folder of the examples.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/vm")
}

#[test]
fn each_example_is_a_spec_without_faults_that_this_version_carries_out() {
    let examples = specs::files(&folder());
    assert!(examples.len() >= 5, "only {} examples", examples.len());
    for example in examples {
        let spec = specs::read(&example);
        let name = example.file_stem().unwrap().to_string_lossy();
        assert!(
            name.starts_with(spec.name.as_str()),
            "{name} holds the VM {}",
            spec.name
        );
    }
}
