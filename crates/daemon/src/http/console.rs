// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/vms/{vm}/console`: a VM's serial console, as a connection that becomes a stream of bytes.

use std::{
    os::{fd::OwnedFd, unix::net},
    time::Duration,
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use hv_model::{
    access::Action,
    hypervisor::{HypervisorErrorKind, Takeover},
    id::VmId,
    problem::{Problem, ProblemKind},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::UnixStream,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    caller::Caller,
    path::Key,
    query::Query,
    refusal::{Answer, Refusal},
};
use crate::access::Resource;

/// What the connection becomes.
const PROTOCOL: &str = "hv-console";
/// How often it is looked whether who uses a console still may.
const LOOK: Duration = Duration::from_secs(5);
/// How many bytes are passed on at once.
const PIECE: usize = 8 << 10;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(console))
}

/// How a console is to be opened.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ConsoleQuery {
    /// What happens to somebody who already uses it.
    #[param(value_type = Option<Takeover>)]
    takeover: Takeover,
}

impl Default for ConsoleQuery {
    fn default() -> Self {
        Self {
            takeover: Takeover::Refuse,
        }
    }
}

/// Open a VM's serial console
///
/// Send `Connection: upgrade` and `Upgrade: hv-console`. After the answer 101 the connection is
/// the console: bytes both ways, until either side ends it.
#[utoipa::path(get, path = "/v1/vms/{vm}/console", tag = "vms",
    params(("vm" = String, Path, description = "Its name or id."), ConsoleQuery),
    responses((status = 101, description = "The connection is the console now.")))]
async fn console(
    caller: Caller,
    key: Key,
    Query(query): Query<ConsoleQuery>,
    mut request: Request,
) -> Answer {
    let (_, vm) = caller.vm(&key)?;
    let resource = Resource::vm(&vm);
    let decision = caller.must_may(Action::VmConsole, &resource).await?;
    let upgrade = upgrade(&mut request)?;
    caller
        .record(Action::VmConsole, &resource, decision)
        .await?;
    let (id, takeover) = (vm.row.id, query.takeover);
    let port = caller.api.app().port.acting_for(caller.principal());
    let opened = port.map_err(Problem::from)?;
    let opened = opened.call("console", move |host| host.console(id, takeover));
    let opened = opened.await.map_err(|error| {
        let (kind, detail) = match error.kind {
            HypervisorErrorKind::Busy => (ProblemKind::ConsoleInUse, error.message),
            HypervisorErrorKind::WrongState => (ProblemKind::NoConsole, error.message),
            _ => return Refusal::from(Problem::from(error)),
        };
        Refusal::new(kind, detail)
    })?;
    let console = stream(opened).map_err(|error| {
        Refusal::new(
            ProblemKind::Internal,
            format!("The console cannot be passed on: {error}."),
        )
    })?;
    caller.peer.be_patient();
    tokio::spawn(bridge(caller, id, upgrade, console));
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static(PROTOCOL)),
    ];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

/// What becomes the raw connection, if that was asked for.
fn upgrade(request: &mut Request) -> Answer<OnUpgrade> {
    let asked = names(request.headers(), &header::CONNECTION, "upgrade")
        && names(request.headers(), &header::UPGRADE, PROTOCOL);
    match request.extensions_mut().remove::<OnUpgrade>() {
        Some(upgrade) if asked => Ok(upgrade),
        _ => {
            let detail = format!(
                "A console is a connection of its own: send Connection: upgrade and Upgrade: \
                 {PROTOCOL}, or use hv vm console."
            );
            Err(Refusal::with_status(StatusCode::UPGRADE_REQUIRED, detail))
        }
    }
}

fn names(headers: &HeaderMap, header: &HeaderName, wanted: &str) -> bool {
    let values = headers
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case(wanted))
}

fn stream(console: OwnedFd) -> std::io::Result<UnixStream> {
    let console = net::UnixStream::from(console);
    console.set_nonblocking(true)?;
    UnixStream::from_std(console)
}

/// Passes bytes both ways until either side, the right to it or the daemon ends. Whoever leaves
/// frees the console for others at once.
async fn bridge(caller: Caller, vm: VmId, upgrade: OnUpgrade, console: UnixStream) {
    let client = match upgrade.await {
        Ok(client) => TokioIo::new(client),
        Err(error) => {
            tracing::debug!(%error, "a console's client left before it was open");
            return;
        }
    };
    let (from_client, to_client) = tokio::io::split(client);
    let (from_console, to_console) = console.into_split();
    let mut ending = caller.api.ending();
    tokio::select! {
        () = pass_on(from_client, to_console) => {}
        () = pass_on(from_console, to_client) => {}
        () = right_ends(&caller, vm) => {}
        () = ending.comes() => {}
    }
}

/// Comes once the caller may use this VM's console no longer: by policies, by the end of a grant, or
/// by what the VM has become.
async fn right_ends(caller: &Caller, vm: VmId) {
    let app = caller.api.app();
    let mut changed = app.access.changed();
    loop {
        tokio::select! {
            _ = changed.changed() => {}
            () = app.clock.sleep(LOOK) => {}
        }
        let snapshot = app.inventory.snapshot();
        let record = snapshot.vm_by_id(vm);
        let may = record.is_some_and(|vm| caller.may_see(Action::VmConsole, &Resource::vm(vm)));
        if !may {
            return;
        }
    }
}

async fn pass_on<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(mut from: R, mut to: W) {
    let mut piece = vec![0; PIECE];
    // Either side may leave at any time, and in any way.
    while let Ok(read @ 1..) = from.read(&mut piece).await
        && let Some(piece) = piece.get(..read)
    {
        if to.write_all(piece).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    to.shutdown().await.unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_must_be_asked_for_in_both_headers() {
        let ask = |connection: &str, protocol: &str| {
            let headers = HeaderMap::from_iter([
                (header::CONNECTION, connection.parse().unwrap()),
                (header::UPGRADE, protocol.parse().unwrap()),
            ]);
            names(&headers, &header::CONNECTION, "upgrade")
                && names(&headers, &header::UPGRADE, PROTOCOL)
        };
        assert!(ask("keep-alive, Upgrade", "hv-console"));
        assert!(!ask("keep-alive", "hv-console") && !ask("upgrade", "websocket"));
    }
}
