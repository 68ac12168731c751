// SPDX-License-Identifier: GPL-3.0-or-later
//! The policy's pools: made where they are missing, and never anywhere else.

use hv_guard::{HostPolicy, PoolRule, pool_of};
use hv_libvirt::{Connection, ErrorKind, Pool as LibvirtPool, Volume};
use hv_model::{
    hypervisor::{HypervisorErrorKind, Result},
    name::PoolName,
    size::Size,
    storage::{Pool, VolumeRef},
};
use roxmltree::Document;

use crate::{
    broker::Broker,
    failure::{Explain, fail, refused},
};

impl Broker {
    pub(crate) fn list_pools(&self) -> Result<Vec<Pool>> {
        let (policy, libvirt) = (self.policy()?, self.libvirt()?);
        let mut pools = Vec::new();
        for rule in &policy.pools {
            let pool = ensure(&libvirt, rule)?;
            let told = || format!("pool {} can't be looked at", rule.name);
            let space = space(&pool, rule).explain(told)?;
            pools.push(Pool {
                name: rule.name.clone(),
                purpose: rule.purpose,
                active: pool.is_active().explain(told)?,
                capacity: space.capacity,
                available: space.available,
            });
        }
        Ok(pools)
    }
}

/// The pool of this name, which must be one of the policy's.
pub(crate) fn of(
    libvirt: &Connection,
    policy: &HostPolicy,
    name: &PoolName,
) -> Result<LibvirtPool> {
    ensure(libvirt, pool_of(policy, name).map_err(refused)?)
}

/// A volume of a policy's pool with its path, which is where the policy says.
pub(crate) fn volume(
    libvirt: &Connection,
    policy: &HostPolicy,
    volume: &VolumeRef,
) -> Result<(Volume, String)> {
    let pool = of(libvirt, policy, &volume.pool)?;
    let found = match pool.volume_by_name(volume.name.as_str()) {
        Err(error) if error.kind == ErrorKind::NotFound => {
            // One that came by another way than libvirt is seen only after a look.
            refresh(&pool)?;
            pool.volume_by_name(volume.name.as_str())
        }
        other => other,
    };
    let found = found.explain(|| format!("volume {volume} can't be found"))?;
    let path = found
        .path()
        .explain(|| format!("volume {volume} has no path"))?;
    match policy.volume_at(&path) {
        Some((rule, name)) if rule.name == volume.pool && name == volume.name.as_str() => {
            Ok((found, path))
        }
        _ => {
            let message = format!("volume {volume} is at {path}, which is not where it should");
            fail(HypervisorErrorKind::Refused, message)
        }
    }
}

/// Looks a pool's volumes up anew; while one is being made that can't be, and need not.
pub(crate) fn refresh(pool: &LibvirtPool) -> Result<()> {
    match pool.refresh() {
        Err(error) if error.kind == ErrorKind::Busy => Ok(()),
        other => other.explain(|| format!("pool {} can't be refreshed", pool.name())),
    }
}

/// How much a pool holds.
pub(crate) struct Space {
    capacity: Size,
    /// How much more fits in.
    pub(crate) available: Size,
}

/// How much a pool holds now. libvirt counts only what it changed itself since it last looked at
/// every single volume, so the file system is asked.
pub(crate) fn space(pool: &LibvirtPool, rule: &PoolRule) -> hv_libvirt::Result<Space> {
    if let Ok(status) = rustix::fs::statvfs(&rule.path) {
        let size = |blocks: u64| Size::from_bytes(blocks.saturating_mul(status.f_frsize));
        return Ok(Space {
            capacity: size(status.f_blocks),
            available: size(status.f_bavail),
        });
    }
    let info = pool.info()?;
    Ok(Space {
        capacity: Size::from_bytes(info.capacity),
        available: Size::from_bytes(info.available),
    })
}

/// The pool of a rule: defined, with its folder, and started.
fn ensure(libvirt: &Connection, rule: &PoolRule) -> Result<LibvirtPool> {
    let name = rule.name.as_str();
    let pool = match libvirt.pool_by_name(name) {
        Ok(pool) => pool,
        Err(error) if error.kind == ErrorKind::NotFound => {
            tracing::info!(pool = name, path = %rule.path.display(), "a pool is made");
            libvirt
                .define_pool(&xml(rule))
                .explain(|| format!("pool {name} can't be defined"))?
        }
        other => other.explain(|| format!("pool {name} can't be found"))?,
    };
    let told = pool
        .xml()
        .explain(|| format!("pool {name} can't be looked at"))?;
    match place(&told) {
        Some(path) if rule.path.as_os_str() == path.as_str() => {}
        found => {
            let found = found.unwrap_or_else(|| "something else than a folder".to_owned());
            let wanted = rule.path.display();
            let message =
                format!("libvirt's pool {name} is at {found}; the host's policy says {wanted}");
            return fail(HypervisorErrorKind::Refused, message);
        }
    }
    if !pool
        .is_active()
        .explain(|| format!("pool {name} can't be looked at"))?
    {
        pool.build()
            .explain(|| format!("the folder of pool {name} can't be made"))?;
        match pool.create() {
            // Somebody else was quicker.
            Err(error) if error.kind == ErrorKind::InvalidState => {}
            other => other.explain(|| format!("pool {name} can't be started"))?,
        }
    }
    Ok(pool)
}

/// A pool's folder, from its XML; nothing, if it is not a folder.
fn place(xml: &str) -> Option<String> {
    let document = Document::parse(xml).ok()?;
    let pool = document.root_element();
    if pool.attribute("type") != Some("dir") {
        return None;
    }
    let target = pool.children().find(|node| node.has_tag_name("target"))?;
    let path = target.children().find(|node| node.has_tag_name("path"))?;
    path.text().map(str::to_owned)
}

fn xml(rule: &PoolRule) -> String {
    let path = escape(&rule.path.to_string_lossy());
    // Others may walk through the folder: QEMU runs as another user and opens its disks by path.
    format!(
        "<pool type='dir'><name>{}</name><target><path>{path}</path>\
         <permissions><mode>0711</mode></permissions></target></pool>",
        rule.name
    )
}

/// Text as XML's text.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use hv_model::storage::PoolPurpose;

    use super::*;

    fn rule(name: &str, path: &str) -> PoolRule {
        PoolRule {
            name: name.parse().unwrap(),
            path: path.into(),
            purpose: PoolPurpose::Disks,
        }
    }

    #[test]
    fn a_pools_folder_reads_back_from_its_xml() {
        let rule = rule("disks", "/pools/a & <b>");
        assert_eq!(place(&xml(&rule)).as_deref(), Some("/pools/a & <b>"));
        assert_eq!(
            place("<pool type='logical'><target><path>/dev/x</path></target></pool>"),
            None
        );
    }

    #[test]
    fn a_pool_at_another_path_is_refused() {
        let options = hv_libvirt::OpenOptions::default();
        let libvirt = Connection::open("test:///default", options).unwrap();
        ensure(&libvirt, &rule("fresh", "/pools/fresh")).unwrap();
        ensure(&libvirt, &rule("fresh", "/pools/fresh")).unwrap();
        let error = ensure(&libvirt, &rule("fresh", "/pools/other")).unwrap_err();
        assert_eq!(error.kind, HypervisorErrorKind::Refused);
        assert!(error.message.contains("/pools/fresh"), "{error}");
    }
}
