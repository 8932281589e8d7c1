//! The file that opens the appliance from a workstation: a token, and where the appliance is and how to know it.
//!
//! ```text
//! 0f3a…                                       64 hexadecimal digits, or a word of one's own
//! https://10.77.0.1:8444#sha256/9Xk…=         where it listens, and its pin; may be absent
//! ```
//!
//! Made by the service, copied by a person, read by `pxe-admin`. No `Debug`: it must not reach a log.

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, anyhow, bail};
use netboot::base::token::Digest;
use netboot_pin::Pin;
use reqwest::Url;
use reqwest::header::HeaderValue;
use sha2::{Digest as _, Sha256};

use super::file;
use crate::clock;

/// Characters of a token of one's own. Fewer could be guessed, or are a word such as "changeme".
const SHORTEST: usize = 32;

/// What the file says.
pub struct Access {
    token: String,
    pub place: Option<Place>,
}

/// `https://10.77.0.1:8444#sha256/9Xk…=`: where the appliance listens for operators. The pin is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Without pin, without `/` at the end.
    pub url: String,
    pub pin: Option<Pin>,
}

impl Access {
    /// Reads a workstation's copy.
    ///
    /// # Errors
    /// It cannot be read, others may read it, or it is not such a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let octets = std::fs::read(path)
            .with_context(|| format!("cannot read the token file `{}`", path.display()))?;
        file::only_ours(path, "go-rwx")?;
        Self::parse(path, octets)
    }

    /// `Authorization: Bearer …`, which does not print itself.
    pub fn bearer(&self) -> HeaderValue {
        let value = HeaderValue::try_from(format!("Bearer {}", self.token));
        let mut value = value.expect("a token is one word of printable ASCII");
        value.set_sensitive(true);
        value
    }

    fn parse(path: &Path, octets: Vec<u8>) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = String::from_utf8(octets).unwrap_or_default();
        let lines = text.lines().map(str::trim);
        let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let token = lines.next().ok_or_else(|| {
            anyhow!(
                "the token file `{shown}` is empty: remove it to have one made by the appliance"
            )
        })?;
        if token.len() < SHORTEST || !token.chars().all(|c| c.is_ascii_graphic()) {
            bail!(
                "the first line of the token file `{shown}` is not a token: one word of {SHORTEST} or more \
                 printable characters, such as `openssl rand -hex 32` makes"
            );
        }
        let place = lines.next().map(|line| {
            let place = line.parse::<Place>();
            place.map_err(|error| anyhow!("the second line of the token file `{shown}` {error}"))
        });
        let place = place.transpose()?;
        if lines.next().is_some() {
            bail!("the token file `{shown}` has more than a token and a URL");
        }
        Ok(Self {
            token: token.to_owned(),
            place,
        })
    }
}

/// The hash of the service's token, from a file of the user's (`own` is false), or from one that the service makes if it
/// is not there. `place` is what a made one says.
///
/// # Errors
/// The file cannot be read or made, others may read it, or it holds no token.
pub fn of_the_service(path: &Path, own: bool, place: &Place) -> anyhow::Result<Digest> {
    let octets = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => file::read_or_make(path, || {
            let token = file::hex(&clock::random::<32>());
            Ok(format!("{token}\n{place}\n").into_bytes())
        })?,
        octets => {
            octets.with_context(|| format!("cannot read the token file `{}`", path.display()))?
        }
    };
    // Who hands the service its secrets may let its group in: systemd does.
    file::only_ours(path, if own { "go-rwx" } else { "o-rwx" })?;
    let access = Access::parse(path, octets)?;
    if let Some(said) = access.place.filter(|said| said != place) {
        tracing::warn!(
            file = %path.display(),
            says = %said,
            is = %place,
            "the token file names another place or key: copies of it lead nowhere; remove it to have it made again"
        );
    }
    Ok(hash(&access.token))
}

fn hash(secret: &str) -> Digest {
    Digest::new(Sha256::digest(secret.as_bytes()).into())
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "is not a URL such as https://10.77.0.1:8444";

        if text.starts_with("http://") {
            return Err(
                "would show the token to everybody on the LAN: write https:// instead of http://"
                    .to_owned(),
            );
        }
        let url = Url::parse(text).map_err(|_| FORM)?;
        let host = url.host_str().filter(|_| url.scheme() == "https");
        let host = host.ok_or(FORM)?;
        let bare = url.path() == "/" && url.query().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err("has more in it than an address, a port and a pin".to_owned());
        }
        let pin = url.fragment().map(str::parse::<Pin>).transpose();
        let pin = pin.map_err(|error| format!("has a pin behind `#` that {error}"))?;
        let port = url
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        Ok(Self {
            url: format!("https://{host}{port}"),
            pin,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)?;
        match &self.pin {
            Some(pin) => write!(f, "#{pin}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PIN: &str = "sha256/A37o5NhNTzGscNBPrsk6xt+t17SIrH/vTrVYaGg/LIg=";

    fn place() -> Place {
        let place = format!("https://10.77.0.1:8444#{PIN}").parse();
        place.expect("a place")
    }

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    }

    #[test]
    fn one_is_made_once_for_its_owner_alone_and_says_all_that_a_workstation_needs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin.token");
        let made = of_the_service(&path, true, &place()).expect("makes one");
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = of_the_service(&path, true, &place()).expect("reads it");
        assert_eq!(made, again);

        let access = Access::read(&path).expect("reads");
        assert_eq!(access.token.len(), 64);
        assert_eq!(hash(&access.token), made);
        assert_eq!(access.place, Some(place()));
        let bearer = access.bearer();
        assert!(!format!("{bearer:?}").contains(&access.token));
        assert_eq!(
            bearer.to_str().ok(),
            Some(format!("Bearer {}", access.token).as_str())
        );
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin.token");
        std::fs::write(&path, format!("{}\n", "canary-secret".repeat(3))).expect("writes");
        for (mode, own, good) in [
            (0o600, true, true),
            (0o640, true, false),
            (0o644, true, false),
            (0o440, false, true),
            (0o644, false, false),
        ] {
            chmod(&path, mode);
            let read = of_the_service(&path, own, &place());
            assert_eq!(read.is_ok(), good, "{mode:o} {own}");
            if let Err(error) = read {
                let text = format!("{error:#}");
                assert!(text.contains("chmod"), "{text}");
                assert!(!text.contains("canary"), "{text}");
            }
        }
        chmod(&path, 0o640);
        assert!(
            Access::read(&path).is_err(),
            "a workstation's copy is its owner's"
        );
    }

    #[test]
    fn what_is_no_token_file_is_told_without_a_word_of_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin.token");
        let token = "canary".repeat(8);
        for (name, text, want) in [
            ("empty", String::new(), "is empty"),
            ("comments alone", "# nothing\n\n".to_owned(), "is empty"),
            ("a word", "canary\n".to_owned(), "is not a token"),
            ("words", format!("{token} {token}\n"), "is not a token"),
            (
                "plain HTTP",
                format!("{token}\nhttp://10.77.0.1:8444\n"),
                "the second line of the token file",
            ),
            (
                "a third line",
                format!("{token}\nhttps://10.77.0.1:8444\ncanary\n"),
                "more than a token and a URL",
            ),
        ] {
            std::fs::write(&path, text).expect("writes");
            chmod(&path, 0o600);
            let error = Access::read(&path).err().expect(name);
            let said = format!("{error:#}");
            assert!(said.contains(want), "{name}: {said}");
            assert!(!said.contains("canary"), "{name}: {said}");
        }
        std::fs::write(&path, format!("# mine\n\n {token} \n")).expect("writes");
        assert!(Access::read(&path).expect("a token alone").place.is_none());
    }

    #[test]
    fn a_place_is_an_address_and_perhaps_a_pin() {
        for (text, want) in [
            ("https://10.77.0.1:8444", "https://10.77.0.1:8444"),
            ("https://box.lan/", "https://box.lan"),
            ("https://[fd00::1]:8444", "https://[fd00::1]:8444"),
            (
                "http://10.77.0.1:8444",
                "would show the token to everybody on the LAN: write https:// instead of http://",
            ),
            (
                "10.77.0.1:8444",
                "is not a URL such as https://10.77.0.1:8444",
            ),
            (
                "ftp://10.77.0.1",
                "is not a URL such as https://10.77.0.1:8444",
            ),
            (
                "https://a:b@10.77.0.1",
                "has more in it than an address, a port and a pin",
            ),
            (
                "https://10.77.0.1/admin",
                "has more in it than an address, a port and a pin",
            ),
            (
                "https://10.77.0.1#md5",
                "has a pin behind `#` that is not `sha256/` and the base64 of 32 octets",
            ),
        ] {
            let got = text
                .parse::<Place>()
                .map_or_else(|e| e, |place| place.to_string());
            assert_eq!(got, want, "{text}");
        }
        let text = format!("https://10.77.0.1:8444#{PIN}");
        assert_eq!(
            text.parse::<Place>().map(|place| place.to_string()),
            Ok(text)
        );
    }
}
