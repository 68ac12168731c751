// SPDX-License-Identifier: GPL-3.0-or-later
//! Going past the product by the files that it lives from.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{LOCALS, USERS};
use crate::{Attempt, Layer, Loot, Off, Trouble};

/// How much of a file is read.
const LONGEST: u64 = 8 << 20;

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "read-canary",
        goal: "read a file of root's",
        success: "its bytes were read",
        actors: LOCALS,
        run: |arena, _| {
            let mut loot = Loot::default();
            read(&arena.canary, &mut loot);
            Ok(loot)
        },
        ..FILES
    },
    Attempt {
        name: "change-the-rules",
        goal: "write to the host's policy, to the configuration of a daemon, or to the hook",
        success: "such a file has another content",
        actors: LOCALS,
        run: |arena, _| {
            let mut loot = Loot::default();
            for path in &arena.rules {
                let opened = OpenOptions::new().append(true).open(path);
                match opened.and_then(|mut file| file.write_all(b"\n# hv-attack\n")) {
                    Ok(()) => loot.take("written"),
                    Err(error) => loot.told(format!("{}: {error}", path.display())),
                }
            }
            Ok(loot)
        },
        ..FILES
    },
    Attempt {
        name: "replace-the-rules",
        goal: "put a policy of one's own in place of the host's",
        success: "another file is in its place",
        actors: LOCALS,
        run: |arena, _| {
            let mut loot = Loot::default();
            for path in &arena.rules {
                let mine = path.with_extension("hv-attack");
                let put = fs::write(&mine, "# hv-attack\n")
                    .and_then(|()| fs::rename(path, aside(path)))
                    .and_then(|()| fs::rename(&mine, path));
                if let Err(error) = put {
                    loot.told(format!("{}: {error}", path.display()));
                }
            }
            Ok(loot)
        },
        clear: |stage, _| stage.arena.rules.iter().try_for_each(|path| put_back(path)),
        ..FILES
    },
    Attempt {
        name: "read-the-database",
        goal: "read hvd's database, in which the VMs of others are",
        success: "the description of the VM of somebody else was read",
        actors: USERS,
        run: |arena, _| {
            let mut loot = Loot::default();
            match fs::read_dir(&arena.state) {
                Ok(entries) => {
                    for entry in entries.filter_map(Result::ok) {
                        read(&entry.path(), &mut loot);
                    }
                }
                Err(error) => loot.told(format!("{}: {error}", arena.state.display())),
            }
            Ok(loot)
        },
        ..FILES
    },
    Attempt {
        name: "read-disks-of-others",
        goal: "read the disks and images in the pools",
        success: "the secret was read that the guest of somebody else's VM says",
        actors: USERS,
        run: |arena, _| {
            let mut loot = Loot::default();
            for pool in &arena.pools {
                // Its name is known from the API, be the folder closed or not.
                read(
                    &pool.join(format!("{}-victim.raw", crate::stage::PREFIX)),
                    &mut loot,
                );
                for entry in fs::read_dir(pool)
                    .into_iter()
                    .flatten()
                    .filter_map(Result::ok)
                {
                    read(&entry.path(), &mut loot);
                }
            }
            Ok(loot)
        },
        ..FILES
    },
    Attempt {
        name: "replace-hvds-socket",
        goal: "put a socket of one's own in place of hvd's, to hear what others ask for",
        success: "another file is in its place",
        actors: USERS,
        run: |arena, _| {
            let mut loot = Loot::default();
            let mine = arena.socket.with_extension("hv-attack");
            // It is kept, so that it can be put back.
            let aside = aside(&arena.socket);
            let put = symlink("/nonexistent", &mine)
                .and_then(|()| fs::rename(&arena.socket, &aside))
                .and_then(|()| fs::rename(&mine, &arena.socket));
            match put {
                Ok(()) => loot.take("replaced"),
                Err(error) => loot.told(format!("{}: {error}", arena.socket.display())),
            }
            Ok(loot)
        },
        clear: |stage, _| put_back(&stage.arena.socket),
        ..FILES
    },
    Attempt {
        name: "place-a-volume-in-a-pool",
        goal: "put a link to a file of root's among the disks of VMs",
        success: "the link lies in a pool",
        actors: LOCALS,
        run: |arena, _| {
            let mut loot = Loot::default();
            for pool in &arena.pools {
                if let Err(error) = symlink(&arena.canary, pool.join("hv-attack-planted")) {
                    loot.told(format!("{}: {error}", pool.display()));
                }
            }
            Ok(loot)
        },
        evidence: |stage, _, _| {
            let planted = planted(&stage.arena.pools)
                .into_iter()
                .find(|path| path.is_symlink())?;
            Some(format!("{} is there", planted.display()))
        },
        clear: |stage, _| {
            for path in planted(&stage.arena.pools) {
                if path.is_symlink() {
                    fs::remove_file(&path).map_err(Trouble::at(&path))?;
                }
            }
            Ok(())
        },
        ..FILES
    },
];

/// What these attempts share.
const FILES: Attempt = Attempt {
    layer: Layer::Files,
    off: &[Off::Files],
    ..Attempt::PLAIN
};

/// Where a file is kept meanwhile.
fn aside(path: &Path) -> PathBuf {
    path.with_extension("hv-attack-aside")
}

fn put_back(path: &Path) -> Result<(), Trouble> {
    let kept = aside(path);
    if kept.symlink_metadata().is_ok() {
        fs::rename(&kept, path).map_err(Trouble::at(path))?;
    }
    Ok(())
}

fn planted(pools: &[PathBuf]) -> Vec<PathBuf> {
    pools
        .iter()
        .map(|pool| pool.join("hv-attack-planted"))
        .collect()
}

fn read(path: &Path, loot: &mut Loot) {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)) {
        Ok(_) => loot.take(&bytes),
        Err(error) => loot.told(format!("{}: {error}", path.display())),
    }
}
