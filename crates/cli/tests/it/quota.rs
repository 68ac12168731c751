// SPDX-License-Identifier: GPL-3.0-or-later
//! Quotas, as root sets them.

use crate::stage::Stage;

#[test]
fn a_quota_is_set_bit_by_bit_and_unset() {
    let stage = Stage::set();
    stage.done("access quota set ada --vms 40 --memory 64GiB");
    let set = stage.done("access quota set ada --disk none");
    insta::assert_snapshot!("set", set);
    assert_eq!(stage.done("access quota show ada"), set);
    let list = stage.done("access quota list");
    assert!(list.contains("ada ") && list.contains("0 of 40"), "{list}");
    let unset = stage.done("access quota unset ada");
    assert!(!unset.contains("64 GiB"), "{unset}");
    let run = stage.hv("access quota unset ada");
    assert_eq!(run.code, 3, "{run:?}");
}

#[test]
fn what_can_be_no_quota_is_refused() {
    let stage = Stage::set();
    for (arguments, code) in [
        ("access quota set ada", 2),
        ("access quota set ada --vms many", 2),
        ("access quota set ada --vms 101", 2),
        ("access quota set A/B --vms 1", 2),
        ("access quota show nobody-here", 3),
    ] {
        let run = stage.hv(arguments);
        assert_eq!(run.code, code, "hv {arguments}: {run:?}");
    }
}
