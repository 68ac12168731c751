// SPDX-License-Identifier: GPL-3.0-or-later
//! What only hvd knows, asked over its API. What it does not answer is unknown.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use hv_client::{AuditFilter, Client, ClientError, VmFilter};
use hv_model::{
    audit::AuditEntry,
    health::Health,
    host::{Host, ServerVersion},
    image::Image,
    inventory::VmSummary,
    page::Page,
    problem::ProblemKind,
    storage::Pool,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::Unreadable;

/// How long hvd may take to answer all of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// A name that no host has.
const FOREIGN: &str = "rebound.invalid";

/// An answer of hvd's, or why there is none.
pub(crate) type Asked<T> = Result<T, Unreadable>;

/// What only hvd knows.
#[derive(Debug, Clone)]
pub(crate) struct Hvd {
    /// Its version.
    pub version: Asked<ServerVersion>,
    /// Whether all is well.
    pub health: Asked<Health>,
    /// The host; nothing if it was never reached.
    pub host: Asked<Option<Host>>,
    /// Its VMs.
    pub vms: Asked<Vec<VmSummary>>,
    /// Its pools.
    pub pools: Asked<Vec<Pool>>,
    /// Its images.
    pub images: Asked<Vec<Image>>,
    /// The newest entries of its audit log.
    pub audit: Asked<Vec<AuditEntry>>,
    /// The paths of its API, by which it can be seen what it can do.
    pub paths: Asked<BTreeSet<String>>,
    /// What it does on TCP, if it is served there.
    pub door: Option<Door>,
}

/// What hvd does on TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Door {
    /// Where.
    pub address: String,
    /// Its answer to somebody without a name who asks for the VMs.
    pub nameless: Asked<Reply>,
    /// Its answer to a request that is meant for another host.
    pub foreign: Asked<Reply>,
}

/// What came back for a plain HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// An answer with this status.
    Status(u16),
    /// Something else: TLS is spoken here.
    NoHttp,
}

impl Hvd {
    /// A daemon that does not answer, and why.
    pub(crate) fn silent(why: &Unreadable) -> Self {
        Self {
            version: Err(why.clone()),
            health: Err(why.clone()),
            host: Err(why.clone()),
            vms: Err(why.clone()),
            pools: Err(why.clone()),
            images: Err(why.clone()),
            audit: Err(why.clone()),
            paths: Err(why.clone()),
            door: None,
        }
    }

    /// Asks it everything.
    pub(crate) async fn ask(client: &Client, listens: Option<&str>) -> Self {
        match timeout(PATIENCE, Self::answers(client)).await {
            Ok(mut hvd) => {
                if let Some(address) = listens {
                    hvd.door = Some(Door::try_at(address).await);
                }
                hvd
            }
            Err(_) => Self::silent(&Unreadable::Unsaid(format!(
                "hvd gave no answer within {} s",
                PATIENCE.as_secs()
            ))),
        }
    }

    async fn answers(client: &Client) -> Self {
        let version = asked(client.version().await);
        // If it does not answer that, it answers nothing.
        if let Err(why) = &version {
            return Self::silent(why);
        }
        let every_vm = VmFilter::default();
        let newest = AuditFilter {
            limit: Some(1),
            ..AuditFilter::default()
        };
        let (health, hosts, vms, pools, images, audit, paths) = tokio::join!(
            client.health(),
            client.hosts(),
            client.vms(&every_vm),
            client.pools(),
            client.images(),
            client.audit(&newest),
            client.openapi(),
        );
        Self {
            version,
            health: asked(health),
            host: asked(hosts).map(|page| page.items.into_iter().next().and_then(|view| view.host)),
            vms: items(vms),
            pools: items(pools),
            images: items(images),
            audit: items(audit),
            paths: asked(paths).map(|description| {
                let paths = description.get("paths").and_then(|paths| paths.as_object());
                paths
                    .into_iter()
                    .flatten()
                    .map(|(path, _)| path.clone())
                    .collect()
            }),
            door: None,
        }
    }

    /// Whether its API has something below this path.
    pub(crate) fn has(&self, path: &str) -> Asked<bool> {
        let paths = self.paths.as_ref().map_err(Clone::clone)?;
        Ok(paths.iter().any(|known| known.starts_with(path)))
    }
}

impl Door {
    async fn try_at(address: &str) -> Self {
        Self {
            nameless: reply(address, address, "/v1/vms").await,
            foreign: reply(address, FOREIGN, "/v1/version").await,
            address: address.to_owned(),
        }
    }
}

fn asked<T>(answer: Result<T, ClientError>) -> Asked<T> {
    answer.map_err(|error| match error.kind() {
        ProblemKind::Denied => {
            Unreadable::Unsaid("hvd does not tell this to the user who looks".into())
        }
        _ => Unreadable::Unsaid(error.to_string()),
    })
}

fn items<T>(page: Result<Page<T>, ClientError>) -> Asked<Vec<T>> {
    asked(page).map(|page| page.items)
}

/// The answer to a request over TCP that names this host.
async fn reply(address: &str, host: &str, path: &str) -> Asked<Reply> {
    let what = format!("http://{address}{path}");
    let parsed: SocketAddr = address
        .parse()
        .map_err(|_| Unreadable::other(&what, "it is no address"))?;
    let exchange = async {
        let mut stream = TcpStream::connect(parsed).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let mut beginning = Vec::new();
        // Who speaks TLS ends this in the middle, which is an answer as well.
        if stream.write_all(request.as_bytes()).await.is_ok() {
            stream
                .take(64)
                .read_to_end(&mut beginning)
                .await
                .unwrap_or_default();
        }
        Ok::<_, std::io::Error>(beginning)
    };
    let beginning = timeout(PATIENCE, exchange)
        .await
        .map_err(|_| Unreadable::other(&what, "there was no answer"))?
        .map_err(|error| Unreadable::other(&what, &error))?;
    Ok(Reply::read(&beginning))
}

impl Reply {
    fn read(beginning: &[u8]) -> Self {
        let line = String::from_utf8_lossy(beginning);
        let code = line
            .strip_prefix("HTTP/")
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        code.map_or(Self::NoHttp, Self::Status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_http_is_told_from_what_is() {
        assert_eq!(
            Reply::read(b"HTTP/1.1 401 Unauthorized\r\n"),
            Reply::Status(401)
        );
        assert_eq!(Reply::read(b"\x15\x03\x01\x00\x02\x02\x46"), Reply::NoHttp);
        assert_eq!(Reply::read(b""), Reply::NoHttp);
    }
}
