// SPDX-License-Identifier: GPL-3.0-or-later
//! The host's policy: what is taken leads to no file outside of its pools.
#![no_main]

use std::path::{Component, Path};

use hv_guard::HostPolicy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let policy = match HostPolicy::parse(text) {
        Ok(policy) => policy,
        Err(why) => return assert!(!why.is_empty(), "refused without a reason"),
    };
    for (number, pool) in policy.pools.iter().enumerate() {
        let folder = pool.path.to_str().expect("a path that is text");
        assert!(folder.starts_with('/') && folder != "/", "{folder:?}");
        let mut parts = Path::new(folder).components().skip(1);
        assert!(
            parts.all(|part| matches!(part, Component::Normal(_))),
            "{folder:?}"
        );
        assert_eq!(policy.pool(&pool.name), Some(pool));

        let found = policy
            .volume_at(&format!("{folder}/web.qcow2"))
            .map(|(pool, _)| pool);
        assert_eq!(found, Some(pool));
        for outside in ["", "/", "/..", "/.", "/../x", "//x", "/a/x", "/.x", "/./x"] {
            assert_eq!(
                policy.volume_at(&format!("{folder}{outside}")),
                None,
                "{folder}{outside}"
            );
        }
        for other in policy.pools.iter().skip(number + 1) {
            assert!(!other.path.starts_with(&pool.path) && !pool.path.starts_with(&other.path));
        }
    }
});
