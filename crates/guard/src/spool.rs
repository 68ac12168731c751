// SPDX-License-Identifier: GPL-3.0-or-later
//! Where refusals wait for the broker: a folder that only root writes.
//!
//! One JSON object a line in `refusals.jsonl`. When that grows past its bound it becomes
//! `refusals.old.jsonl`, and the one before is gone, so the folder stays small whatever is refused.
//! Who may read it beside root is the folder's group, which its packaging sets; files inherit it.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use hv_model::refusal::GuardRefusal;
use rustix::fs::{FlockOperation, OFlags, flock};

/// The folder.
pub const FOLDER: &str = "/run/hv-guard";

/// How many bytes the file may have before it is put aside.
const LONGEST: u64 = 256 << 10;

/// How long a line may be that is read: more than any that is written.
const LONGEST_LINE: usize = 64 << 10;

const CURRENT: &str = "refusals.jsonl";
const OLD: &str = "refusals.old.jsonl";

/// Adds a refusal.
pub fn add(folder: &Path, refusal: &GuardRefusal) -> io::Result<()> {
    let mut line = serde_json::to_vec(refusal)?;
    line.push(b'\n');
    make(folder)?;
    // The folder is its own lock, since the file is put aside.
    let lock = File::open(folder)?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let path = folder.join(CURRENT);
    let mut file = open_for_adding(&path)?;
    if file.metadata()?.len() + line.len() as u64 > LONGEST {
        fs::rename(&path, folder.join(OLD))?;
        file = open_for_adding(&path)?;
    }
    file.write_all(&line)
}

/// Makes the folder, if packaging did not.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(folder);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(above)?;
    fs::DirBuilder::new().mode(0o750).create(folder)
}

fn open_for_adding(path: &Path) -> io::Result<File> {
    File::options()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default())
        .open(path)
}

/// Reads what is added to a spool, each refusal once.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    /// The file that was read last, and how far.
    place: Option<(u64, u64)>,
}

impl Reader {
    /// Reads from now on: what is there already was told before, or is old.
    pub fn from_now(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let status = fs::metadata(folder.join(CURRENT));
        let place = status.ok().map(|status| (status.ino(), status.len()));
        Self { folder, place }
    }

    /// What was added since the last time. Lines that can't be read are left out.
    pub fn read(&mut self) -> io::Result<Vec<GuardRefusal>> {
        let mut refusals = Vec::new();
        let Some(status) = present(fs::metadata(self.folder.join(CURRENT)))? else {
            return Ok(refusals);
        };
        match self.place {
            Some((file, end)) if file == status.ino() && end == status.len() => {
                return Ok(refusals);
            }
            // It was put aside meanwhile: what is left of it comes first.
            Some((file, _)) if file != status.ino() => self.read_file(OLD, &mut refusals)?,
            _ => {}
        }
        self.read_file(CURRENT, &mut refusals)?;
        Ok(refusals)
    }

    fn read_file(&mut self, name: &str, refusals: &mut Vec<GuardRefusal>) -> io::Result<()> {
        let Some(mut file) = present(File::open(self.folder.join(name)))? else {
            return Ok(());
        };
        let inode = file.metadata()?.ino();
        let start = match self.place {
            Some((known, end)) if known == inode => end,
            // An old file that isn't the one that was read is older than that.
            Some(_) if name == OLD => return Ok(()),
            _ => 0,
        };
        file.seek(SeekFrom::Start(start))?;
        let mut reader = BufReader::new(file);
        let mut read = start;
        let mut line = Vec::new();
        loop {
            line.clear();
            let most = LONGEST_LINE as u64;
            let count = io::Read::take(&mut reader, most).read_until(b'\n', &mut line)?;
            // A line without an end is still being written.
            if count == 0 || (line.last() != Some(&b'\n') && count < LONGEST_LINE) {
                break;
            }
            read += count as u64;
            if let Ok(refusal) = serde_json::from_slice::<GuardRefusal>(&line) {
                refusals.push(refusal.shortened());
            }
        }
        self.place = Some((inode, read));
        Ok(())
    }
}

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use hv_model::refusal::GuardEffect;
    use jiff::Timestamp;

    use super::*;

    fn refusal(name: &str) -> GuardRefusal {
        GuardRefusal {
            time: Timestamp::UNIX_EPOCH,
            name: name.to_owned(),
            id: None,
            operation: "prepare".to_owned(),
            effect: GuardEffect::Refused,
            reasons: vec!["x".repeat(200)],
        }
    }

    fn names(reader: &mut Reader) -> Vec<String> {
        let refusals = reader.read().unwrap();
        refusals.into_iter().map(|refusal| refusal.name).collect()
    }

    #[test]
    fn each_refusal_is_read_once() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("run/guard");
        let mut reader = Reader::from_now(&folder);
        assert!(names(&mut reader).is_empty());
        add(&folder, &refusal("a")).unwrap();
        add(&folder, &refusal("b\nc")).unwrap();
        assert_eq!(names(&mut reader), ["a", "b\nc"]);
        assert!(names(&mut reader).is_empty());
        add(&folder, &refusal("d")).unwrap();
        assert_eq!(names(&mut reader), ["d"]);
        // Who comes later hears of what comes later.
        let mut late = Reader::from_now(&folder);
        assert!(names(&mut late).is_empty());
        add(&folder, &refusal("e")).unwrap();
        assert_eq!(names(&mut late), ["e"]);
    }

    #[test]
    fn it_stays_small_and_nothing_is_lost_when_it_is_put_aside() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("guard");
        let mut reader = Reader::from_now(&folder);
        let (mut added, mut read) = (0, 0);
        for _ in 0..30 {
            for _ in 0..100 {
                add(&folder, &refusal("a")).unwrap();
                added += 1;
            }
            read += names(&mut reader).len();
        }
        assert_eq!(added, read);
        let size: u64 = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(size <= 2 * LONGEST, "{size}");
    }

    #[test]
    fn a_line_that_is_not_whole_waits_and_one_that_makes_no_sense_is_left_out() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(CURRENT);
        let mut reader = Reader::from_now(place.path());
        let whole = serde_json::to_string(&refusal("a")).unwrap();
        let (begin, end) = whole.split_at(20);
        fs::write(&path, format!("nonsense\n{begin}")).unwrap();
        assert!(names(&mut reader).is_empty());
        let mut file = File::options().append(true).open(&path).unwrap();
        writeln!(file, "{end}").unwrap();
        assert_eq!(names(&mut reader), ["a"]);
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let other = place.path().join("other");
        fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&other, place.path().join(CURRENT)).unwrap();
        add(place.path(), &refusal("a")).unwrap_err();
        assert_eq!(fs::read(&other).unwrap(), b"");
    }
}
