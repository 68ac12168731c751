// SPDX-License-Identifier: GPL-3.0-or-later
//! A host with the product as it is shipped, to be attacked, whose layers can be switched off.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Stdio,
};

use hv_attack::Off;
use hv_e2e::{Daemons, PrivateHost, binary};
use serde_json::Value;

use super::with_off;

/// An address for those without an account.
const HVD: &str = "\n[listen]\naddress = \"127.0.0.1:8006\"\n";

/// A host to attack.
pub(super) struct Scene {
    pub(super) product: Daemons,
    pub(super) host: PrivateHost,
}

impl Scene {
    /// As it is shipped.
    pub(super) fn open() -> Self {
        Self::on(PrivateHost::start())
    }

    /// The same, with TLS at its address.
    pub(super) fn open_with_tls() -> Self {
        Self::with(PrivateHost::start(), &format!("{HVD}tls = \"self-made\"\n"))
    }

    /// The product on this host.
    pub(super) fn on(host: PrivateHost) -> Self {
        Self::with(host, HVD)
    }

    fn with(host: PrivateHost, hvd: &str) -> Self {
        let product = Daemons::start_inside_with(&host, "", hvd);
        Self { product, host }
    }

    /// Runs the suite with these arguments, and returns what came of each attempt.
    pub(super) fn attack(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self
            .host
            .inside()
            .arg(binary("hv"))
            .args(["attack", "--json", "--socket"])
            .arg(self.product.socket())
            .arg("--folder")
            .arg(self.host.folder().join("attack"))
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("hv runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let report: Value =
            serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
        report["attempts"].as_array().expect("a list").clone()
    }

    /// Each attempt that just this is switched off for succeeds here.
    pub(super) fn works(&self, off: &[Off], arguments: &[&str]) {
        let names = with_off(off).join(",");
        let report = self.attack(&[&["--only", names.as_str()], arguments].concat());
        let idle: Vec<_> = report
            .iter()
            .filter(|tried| tried["outcome"] != "succeeded")
            .map(|tried| format!("{} by {}: {tried}", tried["name"], tried["actor"]))
            .collect();
        assert!(
            idle.is_empty(),
            "{} of {} with {off:?} off prove nothing:\n{}",
            idle.len(),
            report.len(),
            idle.join("\n")
        );
    }

    /// Makes a policy that allows everything that the format of a policy can say.
    pub(super) fn allow_everything(&self) {
        let (pools, own) = (self.host.pools(), self.host.folder().join("attack/pool"));
        let (pools, own) = (pools.display(), own.display());
        let policy = format!(
            "networks = [\"default\"]\nbridges = [\"virbr0\"]\n\
             features = [\"huge-pages\", \"pinning\", \"shared-memory\", \"no-spoof-filter\", \"confidential\"]\n\n\
             [[pools]]\nname = \"hyper-disks\"\npath = \"{pools}/hyper-disks\"\n\n\
             [[pools]]\nname = \"hyper-images\"\npath = \"{pools}/hyper-images\"\npurpose = \"images\"\n\n\
             [[pools]]\nname = \"hv-attack-pool\"\npath = \"{own}\"\n\n\
             [devices]\npci = [\"0000:00:1f.2\"]\nusb = [\"1234:5678\"]\n"
        );
        self.host.set_policy(&policy);
        let file = self.product.folder().join("policy.toml");
        fs::write(file, policy).expect("our own folder");
    }

    /// Opens libvirt's sockets to everybody.
    pub(super) fn open_libvirt(&self) {
        self.host.exec(&[
            "sh",
            "-c",
            "chmod 0777 /run/libvirt /run/libvirt/libvirt-sock*",
        ]);
    }

    /// Lets the broker serve the actors, too.
    pub(super) fn open_port(&mut self) {
        let file = self.product.folder().join("broker.toml");
        let text = fs::read_to_string(&file).expect("our own folder");
        let users: Vec<String> = (60_931..=60_935).map(|user| user.to_string()).collect();
        let open = format!("allow_users = [{}, ", users.join(", "));
        fs::write(&file, text.replace("allow_users = [", &open)).expect("our own folder");
        self.product.kill_broker();
        let socket = self.product.broker_socket();
        fs::remove_file(&socket).expect("the broker made it");
        self.product.start_broker();
        hv_e2e::wait_for("the broker to have made its socket", || {
            let mode = fs::metadata(&socket).ok()?.mode();
            (mode & 0o777 == 0o660).then_some(())
        });
        hv_e2e::wait_for("hvd to hear the host again", || {
            self.product.is_live().then_some(())
        });
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("root may");
    }

    /// Empties the filter that the interfaces of VMs name.
    pub(super) fn empty_spoof_filter(&self) {
        let xml = self.host.virsh(&["nwfilter-dumpxml", "clean-traffic"]);
        let id = xml
            .split("<uuid>")
            .nth(1)
            .and_then(|rest| rest.split('<').next());
        let id = id.expect("a filter has an id");
        let file = self.host.folder().join("filter.xml");
        let empty = format!("<filter name='clean-traffic' chain='root'><uuid>{id}</uuid></filter>");
        fs::write(&file, empty).expect("our own folder");
        self.host
            .virsh(&["nwfilter-define", &file.to_string_lossy()]);
    }

    /// Runs a command where the daemons run, and returns what it printed.
    pub(super) fn run(&self, words: &[&str]) -> String {
        self.host.exec(words)
    }
}
