// SPDX-License-Identifier: GPL-3.0-or-later
//! What a guest says of itself through its agent. All of it may be made to do harm.

use std::{net::IpAddr, time::Duration};

use hv_libvirt::{AddressSource, GuestInfo, GuestInfoGroups, InterfaceAddresses};
use hv_model::{
    hypervisor::{Guest, Result},
    id::VmId,
};

use crate::{broker::Broker, domain, failure::Explain};

/// How long an agent has for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many characters of a text are taken.
const LONGEST_TEXT: usize = 200;

/// How many addresses are taken.
const MOST_ADDRESSES: usize = 32;

impl Broker {
    pub(crate) fn ask_agent(&self, vm: VmId) -> Result<Guest> {
        let domain = domain::find(&self.libvirt()?, vm)?;
        let tried = || format!("the guest of VM {} does not answer", domain.name());
        domain.set_agent_timeout(PATIENCE).explain(tried)?;
        let about = GuestInfoGroups::OS | GuestInfoGroups::HOSTNAME;
        let info = domain.guest_info(about).explain(tried)?;
        let interfaces = domain
            .interface_addresses(AddressSource::Agent)
            .explain(tried)?;
        Ok(believe(&info, &interfaces))
    }
}

/// What may be passed on of what a guest says: short, plain texts, and addresses by which others
/// could reach it.
pub fn believe(info: &GuestInfo, interfaces: &[InterfaceAddresses]) -> Guest {
    let addresses = interfaces.iter().flat_map(|interface| &interface.addresses);
    Guest {
        os: info.os.pretty_name.as_deref().and_then(plain),
        kernel: info.os.kernel_release.as_deref().and_then(plain),
        hostname: info.hostname.as_deref().and_then(plain),
        addresses: addresses
            .filter(|(address, _)| is_worth_telling(*address))
            .map(|(address, _)| address.to_string())
            .take(MOST_ADDRESSES)
            .collect(),
    }
}

/// A text of a guest without anything that could move a cursor, turn text around or go on for ever.
fn plain(text: &str) -> Option<String> {
    let is_plain = |c: &char| {
        !c.is_control()
            && !matches!(*c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let text: String = text.chars().filter(is_plain).take(LONGEST_TEXT).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn is_worth_telling(address: IpAddr) -> bool {
    // An IPv4 address in IPv6's clothes is the same address.
    let address = address.to_canonical();
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !address.is_loopback() && !address.is_unspecified() && !is_link_local
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terminal_escapes_and_turned_text_are_taken_out() {
        assert_eq!(
            plain("web\u{1b}[2J\r\n\u{202e}exe"),
            Some("web[2Jexe".to_owned())
        );
        assert_eq!(plain("a\u{61c}1"), Some("a1".to_owned()));
        assert_eq!(plain("\u{7}\n"), None);
        assert_eq!(
            plain(" Debian GNU/Linux 12 "),
            Some("Debian GNU/Linux 12".to_owned())
        );
    }

    #[test]
    fn loopback_and_link_local_addresses_are_left_out() {
        for (address, told) in [
            ("127.0.0.1", false),
            ("::1", false),
            ("fe80::1", false),
            ("169.254.1.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.1.1", false),
            ("192.168.122.7", true),
            ("2001:db8::7", true),
        ] {
            assert_eq!(
                is_worth_telling(address.parse().unwrap()),
                told,
                "{address}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_of_a_guest_stays_long_or_has_control_characters(text in "(?s).{0,400}") {
            if let Some(text) = plain(&text) {
                prop_assert!(text.chars().count() <= LONGEST_TEXT);
                prop_assert!(!text.chars().any(char::is_control));
            }
        }
    }
}
