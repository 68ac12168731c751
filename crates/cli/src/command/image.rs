// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv image`: read-only disks to clone from.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use hv_client::ChangeOptions;
use hv_model::{
    image::Image,
    name::ImageName,
    operation::{Progress, ProgressUnit},
    problem::{Problem, ProblemKind},
    storage::VolumeFormat,
};
use jiff::Timestamp;

use crate::{
    arguments::examples,
    complete,
    failure::Failure,
    follow::{self, Manner, progress::Line},
    output::{Column, Look, Paint, Table, moment, text::joined},
    session::Session,
};

/// How often the progress line is drawn anew.
const FRAME: Duration = Duration::from_millis(120);
/// With what a qcow2 file begins.
const QCOW2: [u8; 4] = *b"QFI\xfb";

/// What to do with images.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Add a file to the library of images.
    ///
    /// The file is sent to the host and examined there as something hostile: one that refers to
    /// other files is refused.
    #[command(after_help = examples!(
        "hv image add debian debian-13-generic-amd64.qcow2" => "then: hv vm create web --image debian",
        "hv image add netinst debian-13.iso --format raw" => "say the format; an ISO is raw",
    ))]
    Add(Add),
    /// List the images of the library.
    #[command(visible_alias = "ls", after_help = examples!(
        "hv image list" => "what VMs can be made from",
        "hv image list --json" => "the same for a program",
    ))]
    List,
    /// Delete images from the library.
    #[command(visible_alias = "rm", after_help = examples!(
        "hv image delete debian" => "asks before; refused while disks need it",
        "hv image delete debian netinst --yes" => "without asking",
    ))]
    Delete(Delete),
}

/// An image to add.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What to call it.
    name: ImageName,
    /// The file.
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// How its bytes are laid out; if not given, as its first bytes say.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// How it is followed.
    #[command(flatten)]
    manner: Manner,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Qcow2,
    Raw,
}

/// Images to delete.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Which ones.
    #[arg(required = true, value_name = "IMAGE", add = ArgValueCompleter::new(complete::images))]
    names: Vec<String>,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// How it is followed.
    #[command(flatten)]
    manner: Manner,
}

/// Runs a command about images.
pub(crate) async fn run(session: &Session, command: ImageCommand) -> Result<(), Failure> {
    match command {
        ImageCommand::Add(add) => self::add(session, add).await,
        ImageCommand::List => {
            let images = session.client.images().await?;
            session.answer(&images, |page| {
                table(&page.items, session.now(), session.look)
            })
        }
        ImageCommand::Delete(delete) => self::delete(session, delete).await,
    }
}

async fn add(session: &Session, add: Add) -> Result<(), Failure> {
    let shown = add.file.display().to_string();
    let (file, length, format) =
        open(&add).map_err(Failure::local(format!("cannot read {shown}")))?;
    if length == 0 {
        return Err(Problem::new(ProblemKind::UnsafeImage, format!("{shown} is empty")).into());
    }
    let sent = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&sent);
    let progress = move |bytes| told.store(bytes, Ordering::Relaxed);
    let options = ChangeOptions::default();
    let upload = session
        .client
        .add_image(&add.name, format, length, file, progress, &options);
    let mut upload = std::pin::pin!(upload);
    let mut interrupt = follow::interrupts()?;
    let mut frames = tokio::time::interval(FRAME);
    let mut line = Line::new(session);
    let operation = loop {
        tokio::select! {
            operation = &mut upload => break operation,
            _ = frames.tick(), if line.is_shown() => {
                let done = sent.load(Ordering::Relaxed);
                let progress = Progress { done, total: length, unit: ProgressUnit::Bytes };
                let text = format!("send {}: {}", add.name, line.of_progress(progress));
                line.draw(&text);
            }
            _ = interrupt.recv() => {
                line.clear();
                let what = format!("Sending {} was broken off, and nothing of it is kept.", add.name);
                return Err(Failure::BrokenOff(what));
            }
        }
    };
    line.clear();
    drop(line);
    follow::one(session, add.manner, operation?).await
}

/// The file, how many bytes it has, and how they are laid out.
fn open(add: &Add) -> io::Result<(tokio::fs::File, u64, VolumeFormat)> {
    let mut file = File::open(&add.file)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "it is a folder",
        ));
    }
    let format = match add.format {
        Some(Format::Qcow2) => VolumeFormat::Qcow2,
        Some(Format::Raw) => VolumeFormat::Raw,
        None => look_at(&mut file)?,
    };
    let length = file.seek(io::SeekFrom::End(0))?;
    file.rewind()?;
    Ok((tokio::fs::File::from_std(file), length, format))
}

/// What the file's first bytes say. It is only what is asked for: the host judges by itself.
fn look_at(file: &mut File) -> io::Result<VolumeFormat> {
    let mut start = Vec::new();
    file.take(QCOW2.len() as u64).read_to_end(&mut start)?;
    Ok(if start == QCOW2 {
        VolumeFormat::Qcow2
    } else {
        VolumeFormat::Raw
    })
}

async fn delete(session: &Session, delete: Delete) -> Result<(), Failure> {
    let question = format!(
        "Delete {}? It cannot be brought back.",
        joined(&delete.names)
    );
    session.confirm(delete.yes.into(), &question)?;
    follow::each(session, delete.manner, &delete.names, async |name| {
        session
            .client
            .delete_image(name, &ChangeOptions::default())
            .await
    })
    .await
}

fn table(images: &[Image], now: Timestamp, look: Look) -> String {
    let mut table = Table::new([
        Column::shrinking("NAME"),
        Column::text("FORMAT"),
        Column::number("DISK"),
        Column::number("FILE"),
        Column::text("ADDED"),
        Column::text("BLAKE3"),
    ]);
    for image in images {
        table.row([
            image.name.as_str().into(),
            image.format.as_str().into(),
            image.virtual_size.rounded().into(),
            image.size.rounded().into(),
            moment::ago(image.created, now).into(),
            image.blake3.get(..12).unwrap_or(&image.blake3).into(),
        ]);
    }
    if table.is_empty() {
        let command = look.paint(Paint::Command, "hv image add NAME FILE");
        return format!("The library has no images. Add one: {command}\n");
    }
    table.render(look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hv_model::{size::Size, storage::VolumeRef};
    use std::io::Write;

    fn image(name: &str) -> Image {
        Image {
            id: "0198c1f0-1111-7222-8333-444455556666".parse().unwrap(),
            name: name.parse().unwrap(),
            volume: VolumeRef {
                pool: "hyper-images".parse().unwrap(),
                name: "x".parse().unwrap(),
            },
            format: VolumeFormat::Qcow2,
            virtual_size: Size::from_gib(3),
            size: Size::from_bytes(345_678_901),
            blake3: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262".into(),
            created: Timestamp::from_second(1_780_000_000).unwrap(),
        }
    }

    #[test]
    fn images_are_a_table_and_an_empty_library_says_how_to_fill_it() {
        let now = Timestamp::from_second(1_780_090_000).unwrap();
        let pages = [
            table(&[image("debian-13"), image("nixos")], now, Look::plain()),
            table(&[], now, Look::plain()),
        ];
        insta::assert_snapshot!(pages.join("\n"));
    }

    #[test]
    fn a_qcow2_file_is_known_by_its_first_bytes() {
        for (bytes, format) in [
            (&b"QFI\xfb\0\0\0\x03"[..], VolumeFormat::Qcow2),
            (b"QFI", VolumeFormat::Raw),
            (b"\0\0\0\0\0\0", VolumeFormat::Raw),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file.rewind().unwrap();
            assert_eq!(look_at(&mut file).unwrap(), format);
        }
    }
}
