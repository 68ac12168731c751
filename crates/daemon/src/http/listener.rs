// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the API is served: a unix socket with a group, and TCP.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, UnixListener, UnixStream};

use super::tls::TlsError;
use crate::config::{Listen, Security};

/// Who may open the socket: its owner and its group.
const MODE: u32 = 0o660;

/// Why the API can't be served there.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system refuses.
    #[error("cannot serve the API at {place}: {source}")]
    System {
        /// Where: a path or an address.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// Another daemon serves there.
    #[error("another hvd serves at {}", .0.display())]
    InUse(PathBuf),
    /// Something else lies there, which is not removed.
    #[error("{} is there already and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// Others could put their own socket in its place.
    #[error("anybody may write to {}, so a socket in it could be replaced", .0.display())]
    OpenFolder(PathBuf),
    /// There is no such group.
    #[error("there is no group {0}, which the configuration names as socket_group")]
    NoGroup(String),
    /// Others could reach the address, and listen in.
    #[error("{0} can be reached from other machines, and is not served without TLS")]
    NotLoopback(SocketAddr),
    /// TLS can't be served.
    #[error("cannot serve TLS: {0}")]
    Tls(#[from] TlsError),
}

/// A socket that is removed when it is no longer served.
#[derive(Debug)]
pub(super) struct UnixSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Which file it is, since another daemon may have put its own there.
    file: (u64, u64),
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let there = fs::symlink_metadata(&self.path).map(|file| (file.dev(), file.ino()));
        if there.is_ok_and(|there| there == self.file)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the socket is left behind");
        }
    }
}

impl UnixSocket {
    /// Listens at this path for members of this group; for the daemon's own, if none is named.
    pub(super) async fn listen(path: &Path, group: Option<&str>) -> Result<Self, ListenError> {
        let system = |source| ListenError::System {
            place: path.display().to_string(),
            source,
        };
        let folder = path.parent().unwrap_or(Path::new("/"));
        check_folder(folder).await?;
        if is_served(path).await? {
            return Err(ListenError::InUse(path.to_owned()));
        }
        let group = match group {
            Some(name) => {
                let found = uzers::get_group_by_name(name);
                Some(
                    found
                        .ok_or_else(|| ListenError::NoGroup(name.to_owned()))?
                        .gid(),
                )
            }
            None => None,
        };
        // It only gets its name once it has its mode, so nobody can open it in between.
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        let draft = PathBuf::from(draft);
        remove_if_there(&draft).map_err(system)?;
        let listener = UnixListener::bind(&draft).map_err(system)?;
        let named = fs::set_permissions(&draft, fs::Permissions::from_mode(MODE))
            .and_then(|()| group.map_or(Ok(()), |group| chown(&draft, None, Some(group))))
            .and_then(|()| fs::symlink_metadata(&draft))
            .and_then(|file| fs::rename(&draft, path).map(|()| (file.dev(), file.ino())));
        match named {
            Ok(file) => Ok(Self {
                listener,
                path: path.to_owned(),
                file,
            }),
            Err(error) => {
                remove_if_there(&draft).map_err(system)?;
                Err(system(error))
            }
        }
    }
}

async fn check_folder(folder: &Path) -> Result<(), ListenError> {
    let about = tokio::fs::metadata(folder)
        .await
        .map_err(|source| ListenError::System {
            place: folder.display().to_string(),
            source,
        })?;
    // With the sticky bit only a file's owner may replace it.
    if about.mode() & 0o002 != 0 && about.mode() & 0o1000 == 0 {
        return Err(ListenError::OpenFolder(folder.to_owned()));
    }
    Ok(())
}

/// Whether somebody answers at this path. A socket on which nobody does was left behind.
async fn is_served(path: &Path) -> Result<bool, ListenError> {
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => Ok(UnixStream::connect(path).await.is_ok()),
        Ok(_) => Err(ListenError::NotASocket(path.to_owned())),
        Err(_) => Ok(false),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Listens at a TCP address; without TLS at one of the loopback interface alone.
pub(super) async fn listen_tcp(listen: &Listen) -> Result<TcpListener, ListenError> {
    let address = listen.address;
    if listen.security() == Security::Plain && !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback(address));
    }
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError::System {
            place: address.to_string(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[tokio::test]
    async fn a_socket_is_for_its_owner_and_group_and_vanishes_with_its_daemon() {
        let folder = folder();
        let path = folder.path().join("hvd.sock");
        let socket = UnixSocket::listen(&path, None).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        drop(socket);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced() {
        let folder = folder();
        let path = folder.path().join("hvd.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        UnixSocket::listen(&path, None).await.unwrap();
    }

    #[tokio::test]
    async fn the_socket_of_a_living_daemon_is_left_alone() {
        let folder = folder();
        let path = folder.path().join("hvd.sock");
        let _first = UnixSocket::listen(&path, None).await.unwrap();
        let second = UnixSocket::listen(&path, None).await;
        assert!(matches!(second, Err(ListenError::InUse(_))), "{second:?}");
        assert!(path.exists());
    }

    #[tokio::test]
    async fn what_is_not_a_socket_is_never_removed() {
        let folder = folder();
        let path = folder.path().join("hvd.sock");
        fs::write(&path, "precious").unwrap();
        let refused = UnixSocket::listen(&path, None).await;
        assert!(
            matches!(refused, Err(ListenError::NotASocket(_))),
            "{refused:?}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_folder_that_anybody_may_write_to_is_refused() {
        let folder = folder();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let refused = UnixSocket::listen(&folder.path().join("hvd.sock"), None).await;
        assert!(
            matches!(refused, Err(ListenError::OpenFolder(_))),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn an_unknown_group_and_an_open_address_are_refused() {
        let folder = folder();
        let path = folder.path().join("hvd.sock");
        let refused = UnixSocket::listen(&path, Some("no-such-group-here")).await;
        assert!(
            matches!(refused, Err(ListenError::NoGroup(_))),
            "{refused:?}"
        );
        let open = Listen {
            tls: Some(crate::config::Tls::Off),
            ..Listen::at("0.0.0.0:0".parse().unwrap())
        };
        let refused = listen_tcp(&open).await;
        assert!(
            matches!(refused, Err(ListenError::NotLoopback(_))),
            "{refused:?}"
        );
    }
}
