//! The words of the configuration → values, or what is wrong with them.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use netboot::base::name::{HostName, ProfileName};
use netboot::base::timestamp::parse_duration;
use netboot::machine::decide::UnknownPolicy;

/// The longest span of time that a key takes: a leap year.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);

/// `30s`, `15m`, `12h`, `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        None => Err("is not a duration (write it like 30s, 15m, 12h or 7d)".to_owned()),
        Some(Duration::ZERO) => Err("is no time at all".to_owned()),
        Some(span) if span <= LONGEST => Ok(span),
        Some(_) => Err("is longer than a year".to_owned()),
    }
}

pub(super) fn address(text: &str) -> Result<Ipv4Addr, String> {
    text.parse()
        .map_err(|_| "is not an IPv4 address (like 10.77.0.1)".to_owned())
}

/// `admin.listen`.
pub(super) fn listen(text: &str) -> Result<SocketAddrV4, String> {
    text.parse()
        .map_err(|_| "is not an IPv4 address and a port (like 10.77.0.1:8444)".to_owned())
}

/// `10.78.0.0/24`: a network and its netmask. At least two bits for its machines.
pub(super) fn network(text: &str) -> Result<(Ipv4Addr, Ipv4Addr), String> {
    const FORM: &str = "is not an IPv4 network (like 10.78.0.0/24)";

    let (address, length) = text.split_once('/').ok_or(FORM)?;
    let address: Ipv4Addr = address.parse().map_err(|_| FORM)?;
    let length: u32 = length.parse().map_err(|_| FORM)?;
    if !(8..=30).contains(&length) || text.contains('+') {
        return Err(FORM.to_owned());
    }
    let netmask = u32::MAX << (32 - length);
    let network = Ipv4Addr::from(address.to_bits() & netmask);
    if network == address {
        Ok((network, netmask.into()))
    } else {
        Err(format!("is an address in the network {network}/{length}"))
    }
}

/// A DNS name (RFC 1123 §2.1): what goes into option 15 must be one.
pub(super) fn domain(text: &str) -> Result<String, String> {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        Ok(text.to_owned())
    } else {
        Err("is not a domain name (like lan or home.example)".to_owned())
    }
}

/// `boot.unknown`.
pub(super) fn unknown(text: &str) -> Result<UnknownPolicy, String> {
    match text {
        "ignore" => Ok(UnknownPolicy::Ignore),
        "wait" => Ok(UnknownPolicy::Wait),
        "discover" => Ok(UnknownPolicy::Discover),
        name => name
            .parse::<ProfileName>()
            .map(UnknownPolicy::Profile)
            .map_err(|_| {
                "is neither \"ignore\" nor \"wait\" nor \"discover\" nor the name of a profile"
                    .to_owned()
            }),
    }
}

/// `flake`: a path, or a flake URL such as `git+https://example.org/lab`; no output of it.
pub(super) fn flake(text: &str) -> Result<String, String> {
    let odd = |c: char| c.is_control() || c == '#' || c == ' ';
    if text.is_empty() || text.starts_with('-') || text.contains(odd) {
        return Err(
            "is neither a path nor a flake URL (like git+https://example.org/lab)".to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// Whether a flake is given by URL: a scheme comes before any slash (RFC 3986 §3.1).
pub(super) fn is_url(flake: &str) -> bool {
    let scheme = flake.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
    })
}

/// What to do about a flake URL that holds a secret: a password, or over HTTP any user, which is how tokens are written
/// (RFC 3986 §3.2.1). `None` if it holds none.
pub(super) fn credentials(flake: &str) -> Option<&'static str> {
    let (scheme, rest) = flake.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (by, transport) = scheme.rsplit_once('+').unwrap_or(("", scheme));
    let over_http = ["http", "https"]
        .iter()
        .any(|name| transport.eq_ignore_ascii_case(name));
    if over_http && by.eq_ignore_ascii_case("git") {
        // Git fetches it, and reads no file of Nix's.
        Some(
            "take out what stands before the `@`, and give it to Git: in `.netrc` in the folder that the service's `HOME` names",
        )
    } else if over_http {
        Some(
            "take out what stands before the `@`, and give it to Nix: as `access-tokens` in nix.conf, or in the file \
             that its `netrc-file` names",
        )
    } else if user.contains(':') {
        Some("take out the password, and give the service's user an ssh key")
    } else {
        None
    }
}

/// `uname -m` of a machine that an image is for.
pub(super) fn arch(text: &str) -> Result<String, String> {
    match text {
        "x86_64" | "aarch64" => Ok(text.to_owned()),
        _ => Err("is not an architecture (write \"x86_64\" or \"aarch64\")".to_owned()),
    }
}

/// A kernel command line, which every boot loader hands over as it is.
pub(super) fn cmdline(text: &str) -> Result<String, String> {
    netboot::loader::script::is_portable_cmdline(text).map(|()| text.to_owned())
}

/// The name in `[images.<name>]`: a part of URLs.
pub(super) fn image_name(text: &str) -> Result<String, String> {
    text.parse::<ProfileName>()
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

/// `k3s.server`: a URL, or the name of the machine that is the first server, which the LAN's DNS knows.
pub(super) fn cluster(text: &str) -> Result<String, String> {
    const FORM: &str =
        "is neither the URL of a cluster (like https://10.77.0.10:6443) nor a machine's name";

    if let Ok(name) = text.parse::<HostName>() {
        return Ok(format!("https://{name}:6443"));
    }
    let (host, port) = match text.strip_prefix("https://").ok_or(FORM)?.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (&text["https://".len()..], None),
    };
    let port_ok = port.is_none_or(|p| p.parse::<u16>().is_ok_and(|n| n > 0));
    if port_ok && domain(host).is_ok() {
        Ok(text.to_owned())
    } else {
        Err(FORM.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        for (text, want) in [
            ("30s", Some(30)),
            ("15m", Some(900)),
            ("12h", Some(43_200)),
            ("7d", Some(604_800)),
            ("", None),
            ("12", None),
            ("h", None),
            ("-1h", None),
            ("+1h", None),
            ("1.5h", None),
            ("12 h", None),
            ("12µ", None),
            ("0s", None),
            ("367d", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(duration(text).ok().map(|d| d.as_secs()), want, "{text:?}");
        }
    }

    #[test]
    fn a_network_has_an_address_and_a_length() {
        for (text, want) in [
            ("10.78.0.0/24", Some("255.255.255.0")),
            ("10.0.0.0/8", Some("255.0.0.0")),
            ("10.78.0.8/30", Some("255.255.255.252")),
            ("10.78.0.1/24", None),
            ("10.78.0.0", None),
            ("10.78.0.0/31", None),
            ("10.78.0.0/+24", None),
            ("0.0.0.0/0", None),
            ("10.78.0/24", None),
        ] {
            let mask = network(text).ok().map(|(_, mask)| mask.to_string());
            assert_eq!(mask.as_deref(), want, "{text:?}");
        }
    }

    #[test]
    fn an_https_url_or_a_machine_names_a_cluster() {
        for (text, good) in [
            ("https://10.77.0.10:6443", true),
            ("https://k3s.lan", true),
            ("node0", true),
            ("http://10.77.0.10:6443", false),
            ("https://", false),
            ("https://a b", false),
            ("https://a:0", false),
            ("https://a:6443/x", false),
            ("Node 1", false),
        ] {
            assert_eq!(cluster(text).is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn a_flake_is_a_path_or_a_url() {
        for (text, good, url) in [
            (".", true, false),
            ("../lab", true, false),
            ("/srv/lab", true, false),
            ("/srv/a:b", true, false),
            ("github:me/lab", true, true),
            ("git+https://example.org/lab?ref=main", true, true),
            ("path:/srv/lab", true, true),
            (".#worker", false, false),
            ("", false, false),
            ("--impure", false, false),
            ("a b", false, false),
        ] {
            assert_eq!(flake(text).is_ok(), good, "{text:?}");
            assert_eq!(is_url(text), url, "{text:?}");
        }
    }

    #[test]
    fn a_flake_names_no_secret() {
        for (text, secret) in [
            ("git+https://example.org/lab", false),
            ("git+ssh://git@example.org/lab", false),
            ("git+https://example.org/lab?ref=a@b", false),
            ("github:me/lab", false),
            ("/srv/me@home/lab", false),
            ("git+https://ghp_s3cret@example.org/lab", true),
            ("https://me:s3cret@example.org/lab.tar.gz", true),
            ("git+http://me@example.org", true),
            ("git+HTTPS://me@example.org", true),
            ("git+https://me:s3@cret@example.org/lab", true),
            ("git+ssh://me:s3cret@example.org/lab", true),
        ] {
            assert_eq!(credentials(text).is_some(), secret, "{text:?}");
        }
    }

    #[test]
    fn nothing_but_one_line_reaches_a_boot_script() {
        assert!(cmdline("console=ttyS0 init=/x").is_ok());
        assert!(cmdline("quiet\n#!ipxe").is_err());
        assert!(cmdline("a\u{1b}[2J").is_err());
        assert!(image_name("installer").is_ok());
        assert!(image_name("../x").is_err());
    }
}
