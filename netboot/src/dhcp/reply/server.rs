//! Server mode: what the lease rules settled → the answers.

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{DhcpOption, MessageType, UnknownOption};

use super::{
    Answer, AnswerError, BootFile, Sheet, To, class, fqdn, name_boot_file, no_proxy, proxy_offer,
    raspberry_pi_menu, relay_or, take_it_from_here,
};
use crate::base::address::Address;
use crate::base::name::HostName;
use crate::dhcp::lease::{NakReason, Network, Settled};
use crate::dhcp::offer_fallback::Form;
use crate::dhcp::request::options::code;
use crate::dhcp::request::{Boot, Client, Kind, Request};

/// The answers to what the lease rules settled; none where they settled on silence.
///
/// `file` is what the machine is to boot, and the form in which it is told: with [`Form::Split`] the file goes out in a
/// second offer, as from a proxy. `name` is what the machine is called here: a node has its name from its lease.
///
/// # Errors
/// An answer cannot be written.
pub fn server_answers(
    request: &Request,
    settled: &Settled,
    file: Option<(Boot, &BootFile, Form)>,
    network: &Network,
    name: Option<&HostName>,
    address: &Address,
) -> Result<Vec<Answer>, AnswerError> {
    let (split, together) = match file {
        Some((_, _, Form::Split)) => (file, None),
        _ => (None, file),
    };
    let lan = Lan {
        network,
        name,
        address,
    };
    let leased = server_answer(request, settled, together, &lan)?;
    let named = split.filter(|_| matches!(settled, Settled::Offer { .. }));
    let named = named.map(|(boot, file, form)| proxy_offer(request, boot, file, form, address));
    Ok(leased.into_iter().chain(named.transpose()?).collect())
}

/// What the appliance tells everybody on one LAN, and what it calls this machine.
struct Lan<'a> {
    network: &'a Network,
    name: Option<&'a HostName>,
    address: &'a Address,
}

/// What a client is granted: an address for a time, or, with [`Settled::Inform`], no more than what the LAN is like.
struct Grant {
    kind: MessageType,
    lease: Option<(Ipv4Addr, Duration)>,
    /// For the log.
    outcome: String,
}

fn server_answer(
    request: &Request,
    settled: &Settled,
    file: Option<(Boot, &BootFile, Form)>,
    lan: &Lan<'_>,
) -> Result<Option<Answer>, AnswerError> {
    let grant = match *settled {
        Settled::Silence(_) | Settled::Probe(_) => return Ok(None),
        Settled::Nak(why) => return nak(request, why, lan.address).map(Some),
        Settled::Offer {
            address,
            lease_time,
        } => Grant {
            kind: MessageType::Offer,
            lease: Some((address, lease_time)),
            outcome: format!("offered {address}"),
        },
        Settled::Ack {
            address,
            lease_time,
        } => Grant {
            kind: MessageType::Ack,
            lease: Some((address, lease_time)),
            outcome: match request.ciaddr.is_unspecified() {
                true => format!("leased {address}"),
                false => format!("renewed {address}"),
            },
        },
        Settled::Inform => Grant {
            kind: MessageType::Ack,
            lease: None,
            outcome: "informed".to_owned(),
        },
    };
    granted(request, grant, file, lan).map(Some)
}

fn granted(
    request: &Request,
    grant: Grant,
    file: Option<(Boot, &BootFile, Form)>,
    lan: &Lan<'_>,
) -> Result<Answer, AnswerError> {
    let Grant {
        kind,
        lease,
        outcome,
    } = grant;
    let mut sheet = Sheet::new(request, kind, lan.address.ip);
    if request.kind != Kind::Discover {
        sheet.ciaddr(request.ciaddr);
    }
    if let Some((leased, lease_time)) = lease {
        sheet.yiaddr(leased);
        lease_options(&mut sheet, lease_time);
    }
    let mut given = outcome;
    if let Some((boot, file, form)) = file {
        given = format!("{given} with {}{}", file.log_name(), form.log_suffix());
        boot_options(&mut sheet, boot, file, form, lan.address);
    }
    lan_options(&mut sheet, request, lan);
    Ok(Answer {
        bytes: sheet.finish()?,
        to: relay_or(request, client(request, lease.map(|(leased, _)| leased))),
        given,
    })
}

/// RFC 2131 §4.3.2: the client may believe that it has an address, even one of another network, so it is reached by
/// broadcast; a relay is told to broadcast too.
fn nak(request: &Request, why: NakReason, address: &Address) -> Result<Answer, AnswerError> {
    let mut sheet = Sheet::new(request, MessageType::Nak, address.ip);
    sheet.require(DhcpOption::Message(why.to_string()));
    if !request.giaddr.is_unspecified() {
        sheet.demand_broadcast();
    }
    Ok(Answer {
        bytes: sheet.finish()?,
        to: relay_or(request, To::Broadcast),
        given: format!("nak: {why}"),
    })
}

/// Where a client without a relay is reached (RFC 2131 §4.1, in its order).
fn client(request: &Request, leased: Option<Ipv4Addr>) -> To {
    match leased {
        _ if !request.ciaddr.is_unspecified() => To::Client(request.ciaddr),
        Some(address) if !request.wants_broadcast() => To::Unconfigured {
            mac: request.mac,
            address,
        },
        _ => To::Broadcast,
    }
}

/// RFC 2131 §4.4.5: renew at half of the time, rebind at seven eighths.
fn lease_options(sheet: &mut Sheet<'_>, lease_time: Duration) {
    let seconds = u32::try_from(lease_time.as_secs()).unwrap_or(u32::MAX);
    let rebind = u32::try_from(u64::from(seconds) * 7 / 8).unwrap_or(seconds);
    sheet.require(DhcpOption::AddressLeaseTime(seconds));
    sheet.require(DhcpOption::Renewal(seconds / 2));
    sheet.require(DhcpOption::Rebinding(rebind));
}

/// The network around the client, and the client's name in it.
fn lan_options(sheet: &mut Sheet<'_>, request: &Request, lan: &Lan<'_>) {
    let Lan { network, name, .. } = *lan;
    sheet.require(DhcpOption::SubnetMask(network.netmask));
    if let Some(name) = name {
        sheet.require(DhcpOption::Hostname(name.to_string()));
    }
    let asked = request.client_fqdn.as_deref();
    if let Some(fqdn) = asked.and_then(|a| fqdn::answer(a, name, network.domain.as_deref())) {
        let option = UnknownOption::new(code::CLIENT_FQDN.into(), fqdn);
        sheet.require(DhcpOption::Unknown(option));
    }
    if let Some(router) = network.router {
        sheet.if_requested(DhcpOption::Router(vec![router]));
    }
    if !network.dns.is_empty() {
        sheet.if_requested(DhcpOption::DomainNameServer(network.dns.clone()));
    }
    if let Some(domain) = &network.domain {
        sheet.if_requested(DhcpOption::DomainName(domain.clone()));
    }
}

/// An offer with an address and a boot file needs no class: firmware takes it as plain DHCP. With `PXEClient` and no
/// option 43 it would ask port 4011 first (EDK2's DhcpBinl); HTTP boot drops an offer without its class.
fn boot_options(sheet: &mut Sheet<'_>, boot: Boot, file: &BootFile, form: Form, address: &Address) {
    name_boot_file(sheet, file, form, address);
    match boot.client {
        Client::Http => sheet.require(class(boot)),
        Client::RaspberryPi => {
            sheet.require(class(boot));
            sheet.require(raspberry_pi_menu());
        }
        Client::Ipxe => sheet.require(no_proxy()),
        Client::Pxe if form == Form::Turned => {
            sheet.require(class(boot));
            sheet.require(take_it_from_here());
        }
        Client::Pxe | Client::UBoot | Client::UBootUefi => {}
    }
}
