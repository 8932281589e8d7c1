//! Server mode: the answer to what the rules of leases settled.

use dhcproto::v4::{DhcpOption, MessageType, UnknownOption};

use super::{
    Answer, BootFile, Sheet, To, class, fqdn, name_boot_file, no_proxy, proxy_offer,
    raspberry_pi_menu, relay_or, take_it_from_here,
};
use crate::base::address::Address;
use crate::base::name::HostName;
use crate::dhcp::lease::{Network, Settled};
use crate::dhcp::offer_fallback::Form;
use crate::dhcp::request::options::code;
use crate::dhcp::request::{Boot, Client, Kind, Request};

/// The answers to what `lease` settled; none where it settled on silence. `file` is what the machine is to boot, and the
/// form in which it is told: [`Form::Split`] makes it a second offer, as from a proxy. `name` is what the machine is called
/// here: a node has its name from its lease.
pub fn server_answers(
    request: &Request,
    settled: &Settled,
    file: Option<(Boot, &BootFile, Form)>,
    network: &Network,
    name: Option<&HostName>,
    address: &Address,
) -> Vec<Answer> {
    let split = file.filter(|(_, _, form)| *form == Form::Split);
    let together = file.filter(|(_, _, form)| *form != Form::Split);
    let leased = server_answer(request, settled, together, network, name, address);
    let named = split.filter(|_| matches!(settled, Settled::Offer { .. }));
    let named = named.map(|(boot, file, form)| proxy_offer(request, boot, file, form, address));
    leased.into_iter().chain(named).collect()
}

fn server_answer(
    request: &Request,
    settled: &Settled,
    file: Option<(Boot, &BootFile, Form)>,
    network: &Network,
    name: Option<&HostName>,
    address: &Address,
) -> Option<Answer> {
    let (kind, lease, words) = match settled {
        Settled::Silence(_) | Settled::Probe(_) => return None,
        Settled::Nak(why) => {
            let mut sheet = Sheet::new(request, MessageType::Nak, address.ip);
            sheet.need(DhcpOption::Message(why.clone()));
            // The client may think that it has an address, of another network even (RFC 2131 §4.3.2).
            if !request.giaddr.is_unspecified() {
                sheet.demand_broadcast();
            }
            return Some(Answer {
                bytes: sheet.finish(),
                to: relay_or(request, To::Broadcast),
                given: format!("nak: {why}"),
            });
        }
        Settled::Offer {
            address,
            lease_time,
        } => (
            MessageType::Offer,
            Some((*address, *lease_time)),
            format!("offered {address}"),
        ),
        Settled::Ack {
            address,
            lease_time,
        } => (
            MessageType::Ack,
            Some((*address, *lease_time)),
            if request.ciaddr.is_unspecified() {
                format!("leased {address}")
            } else {
                format!("renewed {address}")
            },
        ),
        Settled::Inform => (MessageType::Ack, None, "informed".to_owned()),
    };
    let mut sheet = Sheet::new(request, kind, address.ip);
    if request.kind != Kind::Discover {
        sheet.ciaddr(request.ciaddr);
    }
    if let Some((leased, lease_time)) = lease {
        let seconds = u32::try_from(lease_time.as_secs()).unwrap_or(u32::MAX);
        // RFC 2131 §4.4.5: renew at half of the time, rebind at seven eighths.
        let rebind = u32::try_from(u64::from(seconds) * 7 / 8).unwrap_or(seconds);
        sheet.need(DhcpOption::AddressLeaseTime(seconds));
        sheet.need(DhcpOption::Renewal(seconds / 2));
        sheet.need(DhcpOption::Rebinding(rebind));
        sheet.yiaddr(leased);
    }
    let mut given = words;
    if let Some((boot, file, form)) = file {
        given = format!("{given} with {}{}", file.words(), form.words());
        boot_options(&mut sheet, boot, file, form, address);
    }
    sheet.need(DhcpOption::SubnetMask(network.netmask));
    if let Some(name) = name {
        sheet.need(DhcpOption::Hostname(name.to_string()));
    }
    let asked = request.client_fqdn.as_deref();
    if let Some(fqdn) = asked.and_then(|a| fqdn::answer(a, name, network.domain.as_deref())) {
        let option = UnknownOption::new(code::CLIENT_FQDN.into(), fqdn);
        sheet.need(DhcpOption::Unknown(option));
    }
    if let Some(router) = network.router {
        sheet.wish(DhcpOption::Router(vec![router]));
    }
    if !network.dns.is_empty() {
        sheet.wish(DhcpOption::DomainNameServer(network.dns.clone()));
    }
    if let Some(domain) = &network.domain {
        sheet.wish(DhcpOption::DomainName(domain.clone()));
    }
    // RFC 2131 §4.1, in its order.
    let client = match lease {
        _ if !request.ciaddr.is_unspecified() => To::Client(request.ciaddr),
        Some((address, _)) if !request.wants_broadcast() => To::Unconfigured {
            mac: request.mac,
            address,
        },
        _ => To::Broadcast,
    };
    Some(Answer {
        bytes: sheet.finish(),
        to: relay_or(request, client),
        given,
    })
}

/// An offer with an address and a boot file needs no class: firmware takes it as plain DHCP. With `PXEClient` and no
/// option 43 it would ask port 4011 first (EDK2's DhcpBinl); HTTP boot drops an offer without its class.
fn boot_options(sheet: &mut Sheet<'_>, boot: Boot, file: &BootFile, form: Form, address: &Address) {
    name_boot_file(sheet, file, form, address);
    match boot.client {
        Client::Http => sheet.need(class(boot)),
        Client::RaspberryPi => {
            sheet.need(class(boot));
            sheet.need(raspberry_pi_menu());
        }
        Client::Ipxe => sheet.need(no_proxy()),
        Client::Pxe if form == Form::Turned => {
            sheet.need(class(boot));
            sheet.need(take_it_from_here());
        }
        Client::Pxe | Client::UBoot | Client::UBootUefi => {}
    }
}
