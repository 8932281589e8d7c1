//! Server mode: what the lease rules settled → the answers.

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{DhcpOption, MessageType, UnknownOption};

use super::{
    AnswerError, BootFile, DhcpReply, ReplyBuilder, ReplyTo, class, fqdn, name_boot_file, no_proxy,
    proxy_offer, raspberry_pi_menu, relay_or, take_it_from_here,
};
use crate::base::address::ApplianceAddress;
use crate::base::name::HostName;
use crate::dhcp::lease::{LeaseAnswer, NakReason, NetworkParameters};
use crate::dhcp::offer_fallback::OfferForm;
use crate::dhcp::request::options::code;
use crate::dhcp::request::{BootClient, ClientMessageType, NetbootRequest, Request};

/// The answers to what the lease rules settled; none where they settled on silence.
///
/// `file` is what the machine is to boot, and the form in which it is told: with [`OfferForm::Split`] the file goes out in a
/// second offer, as from a proxy. `name` is what the machine is called here: a node has its name from its lease.
///
/// # Errors
/// An answer cannot be written.
pub fn server_answers(
    request: &Request,
    settled: &LeaseAnswer,
    file: Option<(NetbootRequest, &BootFile, OfferForm)>,
    network: &NetworkParameters,
    name: Option<&HostName>,
    address: &ApplianceAddress,
) -> Result<Vec<DhcpReply>, AnswerError> {
    let (split, together) = match file {
        Some((_, _, OfferForm::Split)) => (file, None),
        _ => (None, file),
    };
    let lan = LanParameters {
        network,
        name,
        address,
    };
    let leased = server_answer(request, settled, together, &lan)?;
    let named = split.filter(|_| matches!(settled, LeaseAnswer::Offer { .. }));
    let named = named.map(|(boot, file, form)| proxy_offer(request, boot, file, form, address));
    Ok(leased.into_iter().chain(named.transpose()?).collect())
}

/// What the appliance tells everybody on one LAN, and what it calls this machine.
struct LanParameters<'a> {
    network: &'a NetworkParameters,
    name: Option<&'a HostName>,
    address: &'a ApplianceAddress,
}

/// What a client is granted: an address for a time, or, with [`LeaseAnswer::Inform`], no more than what the LAN is like.
struct Grant {
    kind: MessageType,
    lease: Option<(Ipv4Addr, Duration)>,
    /// For the log.
    outcome: String,
}

fn server_answer(
    request: &Request,
    settled: &LeaseAnswer,
    file: Option<(NetbootRequest, &BootFile, OfferForm)>,
    lan: &LanParameters<'_>,
) -> Result<Option<DhcpReply>, AnswerError> {
    let grant = match *settled {
        LeaseAnswer::Silence(_) | LeaseAnswer::Probe(_) => return Ok(None),
        LeaseAnswer::Nak(why) => return nak(request, why, lan.address).map(Some),
        LeaseAnswer::Offer {
            address,
            lease_time,
        } => Grant {
            kind: MessageType::Offer,
            lease: Some((address, lease_time)),
            outcome: format!("offered {address}"),
        },
        LeaseAnswer::Ack {
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
        LeaseAnswer::Inform => Grant {
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
    file: Option<(NetbootRequest, &BootFile, OfferForm)>,
    lan: &LanParameters<'_>,
) -> Result<DhcpReply, AnswerError> {
    let Grant {
        kind,
        lease,
        outcome,
    } = grant;
    let mut reply = ReplyBuilder::new(request, kind, lan.address.ip);
    if request.kind != ClientMessageType::Discover {
        reply.ciaddr(request.ciaddr);
    }
    if let Some((leased, lease_time)) = lease {
        reply.yiaddr(leased);
        lease_options(&mut reply, lease_time);
    }
    let mut given = outcome;
    if let Some((boot, file, form)) = file {
        given = format!("{given} with {}{}", file.log_name(), form.log_suffix());
        boot_options(&mut reply, boot, file, form, lan.address);
    }
    lan_options(&mut reply, request, lan);
    Ok(DhcpReply {
        bytes: reply.finish()?,
        to: relay_or(request, client(request, lease.map(|(leased, _)| leased))),
        given,
    })
}

/// RFC 2131 §4.3.2: the client may believe that it has an address, even one of another network, so it is reached by
/// broadcast; a relay is told to broadcast too.
fn nak(
    request: &Request,
    why: NakReason,
    address: &ApplianceAddress,
) -> Result<DhcpReply, AnswerError> {
    let mut reply = ReplyBuilder::new(request, MessageType::Nak, address.ip);
    reply.require(DhcpOption::Message(why.to_string()));
    if !request.giaddr.is_unspecified() {
        reply.demand_broadcast();
    }
    Ok(DhcpReply {
        bytes: reply.finish()?,
        to: relay_or(request, ReplyTo::Broadcast),
        given: format!("nak: {why}"),
    })
}

/// Where a client without a relay is reached (RFC 2131 §4.1, in its order).
fn client(request: &Request, leased: Option<Ipv4Addr>) -> ReplyTo {
    match leased {
        _ if !request.ciaddr.is_unspecified() => ReplyTo::Client(request.ciaddr),
        Some(address) if !request.wants_broadcast() => ReplyTo::Unconfigured {
            mac: request.mac,
            address,
        },
        _ => ReplyTo::Broadcast,
    }
}

/// RFC 2131 §4.4.5: renew at half of the time, rebind at seven eighths.
fn lease_options(reply: &mut ReplyBuilder<'_>, lease_time: Duration) {
    let seconds = u32::try_from(lease_time.as_secs()).unwrap_or(u32::MAX);
    let rebind = u32::try_from(u64::from(seconds) * 7 / 8).unwrap_or(seconds);
    reply.require(DhcpOption::AddressLeaseTime(seconds));
    reply.require(DhcpOption::Renewal(seconds / 2));
    reply.require(DhcpOption::Rebinding(rebind));
}

/// The network around the client, and the client's name in it.
fn lan_options(reply: &mut ReplyBuilder<'_>, request: &Request, lan: &LanParameters<'_>) {
    let LanParameters { network, name, .. } = *lan;
    reply.require(DhcpOption::SubnetMask(network.netmask));
    if let Some(name) = name {
        reply.require(DhcpOption::Hostname(name.to_string()));
    }
    let asked = request.client_fqdn.as_deref();
    if let Some(fqdn) = asked.and_then(|a| fqdn::answer(a, name, network.domain.as_deref())) {
        let option = UnknownOption::new(code::CLIENT_FQDN.into(), fqdn);
        reply.require(DhcpOption::Unknown(option));
    }
    if let Some(router) = network.router {
        reply.if_requested(DhcpOption::Router(vec![router]));
    }
    if !network.dns.is_empty() {
        reply.if_requested(DhcpOption::DomainNameServer(network.dns.clone()));
    }
    if let Some(domain) = &network.domain {
        reply.if_requested(DhcpOption::DomainName(domain.clone()));
    }
}

/// An offer with an address and a boot file needs no class: firmware takes it as plain DHCP. With `PXEClient` and no
/// option 43 it would ask port 4011 first (EDK2's DhcpBinl); HTTP boot drops an offer without its class.
fn boot_options(
    reply: &mut ReplyBuilder<'_>,
    boot: NetbootRequest,
    file: &BootFile,
    form: OfferForm,
    address: &ApplianceAddress,
) {
    name_boot_file(reply, file, form, address);
    match boot.client {
        BootClient::Http => reply.require(class(boot)),
        BootClient::RaspberryPi => {
            reply.require(class(boot));
            reply.require(raspberry_pi_menu());
        }
        BootClient::Ipxe => reply.require(no_proxy()),
        BootClient::Pxe if form == OfferForm::Turned => {
            reply.require(class(boot));
            reply.require(take_it_from_here());
        }
        BootClient::Pxe | BootClient::UBoot | BootClient::UBootUefi => {}
    }
}
