//! The kernel command line → where the appliance is, how to know it, and the ticket.

use std::net::IpAddr;

use netboot::base::mac::Mac;
use netboot::base::token::Ticket;
use netboot_pin::Pin;

/// What the boot script wants of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AgentMode {
    Install(Orders),
    Discover(DiscoveryOrder),
}

/// Tell the appliance the hardware, and do no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiscoveryOrder {
    pub url: String,
    pub pin: Pin,
    /// What the appliance calls this machine.
    pub mac: Mac,
}

/// What the boot script told this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Orders {
    /// `https://10.77.0.1:8443`, without a slash at its end.
    pub url: String,
    pub ticket: Ticket,
    pub pin: Pin,
    /// The card that netbooted, from `BOOTIF=01-52-54-…`.
    pub booted_from: Option<Mac>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrdersError {
    #[error(
        "the kernel command line has no `{0}=`: this machine was not started by the appliance to be installed"
    )]
    Absent(&'static str),
    #[error("`{0}=` stands on the kernel command line more than once, with different values")]
    Twice(&'static str),
    #[error("`{name}={value}` of the kernel command line {why}")]
    Wrong {
        name: &'static str,
        value: String,
        why: String,
    },
}

/// Reads the command line. Words that are not ours are passed over. A command line that asks for both is an error: a
/// machine that only tells its hardware has no ticket.
pub(crate) fn agent_mode(cmdline: &str) -> Result<AgentMode, OrdersError> {
    const DISCOVER: &str = "netboot.discover";

    let mac = match (word(cmdline, DISCOVER), word(cmdline, "netboot.ticket")) {
        (Err(OrdersError::Absent(_)), _) => return read(cmdline).map(AgentMode::Install),
        (Err(error), _) => return Err(error),
        (Ok(mac), Err(OrdersError::Absent(_))) => mac,
        (Ok(mac), _) => {
            let why = "stands beside `netboot.ticket=`".to_owned();
            return Err(wrong(DISCOVER, mac, why));
        }
    };
    let (url, pin) = to_whom(cmdline)?;
    let mac = mac
        .parse()
        .map_err(|e| wrong(DISCOVER, mac, format!("{e}")))?;
    Ok(AgentMode::Discover(DiscoveryOrder { url, pin, mac }))
}

fn wrong(name: &'static str, value: &str, why: String) -> OrdersError {
    OrdersError::Wrong {
        name,
        value: value.to_owned(),
        why,
    }
}

/// The appliance, and how to know it.
fn to_whom(cmdline: &str) -> Result<(String, Pin), OrdersError> {
    let url = word(cmdline, "netboot.url")?;
    let pin = word(cmdline, "netboot.pin")?;
    Ok((
        appliance(url).map_err(|why| wrong("netboot.url", url, why.to_owned()))?,
        pin.parse()
            .map_err(|e| wrong("netboot.pin", pin, format!("{e}")))?,
    ))
}

fn read(cmdline: &str) -> Result<Orders, OrdersError> {
    let ticket = word(cmdline, "netboot.ticket")?;
    let (url, pin) = to_whom(cmdline)?;
    Ok(Orders {
        url,
        ticket: ticket
            .parse()
            .map_err(|e| wrong("netboot.ticket", ticket, format!("{e}")))?,
        pin,
        booted_from: cmdline
            .split_ascii_whitespace()
            .filter_map(|word| word.strip_prefix("BOOTIF=01-"))
            .find_map(|mac| mac.parse().ok()),
    })
}

fn word<'a>(cmdline: &'a str, name: &'static str) -> Result<&'a str, OrdersError> {
    let mut found = cmdline
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let first = found.next().ok_or(OrdersError::Absent(name))?;
    if found.any(|other| other != first) {
        return Err(OrdersError::Twice(name));
    }
    Ok(first)
}

/// It must be an address: a name would be asked of DNS, which is one more party to trust.
pub(crate) fn appliance(url: &str) -> Result<String, &'static str> {
    const WANTED: &str = "is not like https://10.77.0.1:8443";
    let authority = url.strip_prefix("https://").ok_or(WANTED)?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = authority.rsplit_once(':').ok_or(WANTED)?;
    let address = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    let bracketed = address.len() != host.len();
    match (address.parse::<IpAddr>(), port.parse::<u16>()) {
        (Ok(ip), Ok(1..)) if ip.is_ipv6() == bracketed => Ok(format!("https://{authority}")),
        _ => Err(WANTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKET: &str = "00112233445566778899aabbccddeeff";

    fn line() -> String {
        let pin = Pin::of(b"key");
        format!(
            "init=/nix/store/x/init console=ttyS0 BOOTIF=01-52-54-00-12-34-56 \
             netboot.url=https://10.77.0.1:8443 netboot.ticket={TICKET} netboot.pin={pin} quiet\n"
        )
    }

    #[test]
    fn a_command_line_of_the_appliance_is_read() {
        let orders = read(&line()).expect("orders");
        assert_eq!(orders.url, "https://10.77.0.1:8443");
        assert_eq!(orders.ticket.as_str(), TICKET);
        assert_eq!(orders.pin, Pin::of(b"key"));
        assert_eq!(
            orders.booted_from.map(|m| m.to_string()).as_deref(),
            Some("52:54:00:12:34:56")
        );
    }

    #[test]
    fn a_machine_that_is_looked_at_has_no_ticket() {
        let discover = line().replace(
            &format!("netboot.ticket={TICKET}"),
            "netboot.discover=52:54:00:12:34:56",
        );
        let want = DiscoveryOrder {
            url: "https://10.77.0.1:8443".to_owned(),
            pin: Pin::of(b"key"),
            mac: "52:54:00:12:34:56".parse().expect("a MAC"),
        };
        assert_eq!(agent_mode(&discover), Ok(AgentMode::Discover(want)));
        assert!(matches!(agent_mode(&line()), Ok(AgentMode::Install(_))));
        for (name, line, want) in [
            (
                "both",
                format!("{discover} netboot.ticket={TICKET}"),
                "stands beside",
            ),
            (
                "no MAC",
                discover.replace("12:34:56", "12"),
                "netboot.discover=52:54:00:12",
            ),
            (
                "nobody to tell",
                discover.replace("netboot.url", "x"),
                "no `netboot.url=`",
            ),
        ] {
            let error = agent_mode(&line).expect_err(name).to_string();
            assert!(error.contains(want), "{name}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_command_line_is_said() {
        let is_not = "is not like https://10.77.0.1:8443";
        for (name, from, to, want) in [
            ("no ticket", "netboot.ticket=", "x=", "no `netboot.ticket=`"),
            (
                "a short ticket",
                "00112233",
                "",
                "is not 32 hexadecimal digits",
            ),
            (
                "a pin of another kind",
                "pin=sha256",
                "pin=md5",
                "is not `sha256/`",
            ),
            ("plain http", "https://", "http://", is_not),
            (
                "a name instead of an address",
                "10.77.0.1",
                "evil.lan",
                is_not,
            ),
            ("a user in the address", "10.77.0.1", "a@10.77.0.1", is_not),
            ("a path", ":8443", ":8443/x", is_not),
            ("no port", ":8443", "", is_not),
            ("port 0", ":8443", ":0", is_not),
            (
                "two appliances",
                "quiet",
                "netboot.url=https://10.0.0.9:1",
                "more than once",
            ),
        ] {
            let error = read(&line().replace(from, to)).expect_err(name);
            assert!(error.to_string().contains(want), "{name}: {error}");
        }
    }
}
