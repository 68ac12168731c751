// SPDX-License-Identifier: GPL-3.0-or-later
//! What is shown while the host cannot be reached.

use crate::stage::Stage;

#[test]
fn a_list_that_is_stale_says_how_old_it_is() {
    let stage = Stage::set();
    stage.done("vm create web");
    stage.host.lose("libvirtd ended");
    stage.until(|snapshot| !snapshot.freshness.live);
    let run = stage.hv("vm list");
    assert_eq!(run.code, 0);
    assert!(run.out.contains("web"), "{run:?}");
    assert!(
        run.err.starts_with("stale: this is ") && run.err.contains(" s old"),
        "{run:?}"
    );
    assert!(stage.hv("").out.starts_with("broken"));
    let refused = stage.hv("vm start web");
    assert_eq!(refused.code, 6, "{refused:?}");
}
