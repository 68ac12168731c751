// SPDX-License-Identifier: GPL-3.0-or-later
//! Images: added from a file, used, deleted.

use crate::stage::{Stage, cells};

#[test]
fn a_file_becomes_an_image_that_vms_are_made_from() {
    let stage = Stage::set();
    std::fs::write(stage.folder().join("disk.img"), vec![7; 3 << 20]).unwrap();
    assert_eq!(
        stage.done("image add debian disk.img"),
        "debian is in the library. Use it: hv vm create NAME --image debian\n"
    );
    let list = stage.done("image list");
    assert_eq!(
        cells(list.lines().nth(1).unwrap())[..4],
        ["debian", "raw", "3 MiB", "3 MiB"],
        "{list}"
    );
    stage.done("vm create web --image debian");
    let refused = stage.hv("image delete debian --yes");
    assert_eq!(refused.code, 5, "{refused:?}");
    stage.done("vm delete web --yes");
    stage.done("vm purge web --yes");
    assert_eq!(
        stage.done("image delete debian --yes"),
        "debian is deleted.\n"
    );
}

#[test]
fn what_is_no_file_is_refused_before_anything_is_sent() {
    let stage = Stage::set();
    std::fs::write(stage.folder().join("empty.img"), b"").unwrap();
    assert_eq!(stage.hv("image add debian nowhere.img").code, 3);
    assert_eq!(stage.hv("image add debian .").code, 1);
    assert_eq!(stage.hv("image add debian empty.img").code, 2);
    assert_eq!(stage.done("op list"), "There are no operations.\n");
}
