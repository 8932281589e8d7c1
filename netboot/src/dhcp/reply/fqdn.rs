//! Option 81 of a client → option 81 of the answer (RFC 4702 §4): the name that goes with the lease, and the word that the
//! appliance does not write it into DNS.

use crate::base::name::HostName;

/// The name is in DNS wire form, not in the deprecated ASCII form.
const ENCODED: u8 = 0b0100;
/// The client wants the server to update its A record; in an answer: the server will.
const SERVER_UPDATES: u8 = 0b0001;
/// The server does not do what the client wanted with [`SERVER_UPDATES`].
const OVERRIDES: u8 = 0b0010;
/// The server does not update any record.
const NO_UPDATES: u8 = 0b1000;

/// The answer to `asked`; `None` if that is too short to be the option. Without a `name` of ours the client keeps its own.
pub(super) fn answer(
    asked: &[u8],
    name: Option<&HostName>,
    domain: Option<&str>,
) -> Option<Vec<u8>> {
    let [flags, _, _, said @ ..] = asked else {
        return None;
    };
    let mut option = vec![NO_UPDATES | (flags & ENCODED), 255, 255];
    if flags & SERVER_UPDATES != 0 {
        option[0] |= OVERRIDES;
    }
    match name {
        None => option.extend(said),
        Some(name) if flags & ENCODED == 0 => {
            option.extend(name.as_str().bytes());
            if let Some(domain) = domain {
                option.push(b'.');
                option.extend(domain.bytes());
            }
        }
        Some(name) => {
            let domain_labels = domain.iter().flat_map(|domain| domain.split('.'));
            for label in std::iter::once(name.as_str()).chain(domain_labels) {
                option.push(u8::try_from(label.len()).ok()?);
                option.extend(label.bytes());
            }
            // The root ends a whole name. Without a domain the name is a partial one.
            if domain.is_some() {
                option.push(0);
            }
        }
    }
    (option.len() <= 255).then_some(option)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_goes_out_in_the_clients_own_form() {
        let node: HostName = "node1".parse().expect("a name");
        let lan = Some("home.lan");
        for (name, asked, ours, domain, want) in [
            (
                "wire form, asks for an update",
                &b"\x05\0\0\x02pc"[..],
                Some(&node),
                lan,
                Some(&b"\x0e\xff\xff\x05node1\x04home\x03lan\0"[..]),
            ),
            (
                "wire form, no domain: a partial name",
                b"\x04\0\0",
                Some(&node),
                None,
                Some(b"\x0c\xff\xff\x05node1"),
            ),
            (
                "ASCII, as old Windows sends it",
                b"\0\0\0pc",
                Some(&node),
                lan,
                Some(b"\x08\xff\xffnode1.home.lan"),
            ),
            (
                "a name of its own is left to it",
                b"\x05\0\0\x02pc",
                None,
                lan,
                Some(b"\x0e\xff\xff\x02pc"),
            ),
            ("too short", b"\x05\0", Some(&node), lan, None),
        ] {
            assert_eq!(answer(asked, ours, domain).as_deref(), want, "{name}");
        }
    }
}
