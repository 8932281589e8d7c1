//! The file that opens the appliance from a workstation: a token, and where the appliance is and how to know it.
//!
//! ```text
//! 0f3a…                                       64 hexadecimal digits, or a word of one's own
//! https://10.77.0.1:8444#sha256/9Xk…=         where it listens, and its pin; may be absent
//! ```
//!
//! Made by the service, copied by a person, read by `pxe-admin`. A token has no `Debug`, so that it cannot reach a log.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, anyhow, bail};
use http::HeaderValue;
use url::Url;

use crate::Pin;

/// The fewest characters of a token of one's own. A shorter one could be guessed, or is a word such as "changeme".
const SHORTEST: usize = 32;

/// What the file says.
pub struct TokenFile {
    token: String,
    pub url: Option<AdminUrl>,
}

/// `https://10.77.0.1:8444#sha256/9Xk…=`: where the appliance listens for operators, and its pin, which is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminUrl {
    /// Without pin, without `/` at the end.
    pub base: String,
    pub pin: Option<Pin>,
}

impl TokenFile {
    /// Reads a workstation's copy.
    ///
    /// # Errors
    /// It cannot be read, others may read it, or it is not such a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let octets = std::fs::read(path)
            .with_context(|| format!("cannot read the token file `{}`", path.display()))?;
        refuse_others(path, "go-rwx")?;
        Self::parse(path, octets)
    }

    /// The secret. It must not reach a log.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The value of `Authorization: Bearer …`, which does not print itself.
    pub fn bearer(&self) -> HeaderValue {
        let value = HeaderValue::try_from(format!("Bearer {}", self.token));
        let mut value = value.expect("a token is one word of printable ASCII");
        value.set_sensitive(true);
        value
    }

    /// Takes apart what was read from the file at `path`.
    ///
    /// # Errors
    /// It is not such a file. The error does not quote the file.
    pub fn parse(path: &Path, octets: Vec<u8>) -> anyhow::Result<Self> {
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
        let url = lines.next().map(|line| {
            let url = line.parse::<AdminUrl>();
            url.map_err(|error| anyhow!("the second line of the token file `{shown}` {error}"))
        });
        let url = url.transpose()?;
        if lines.next().is_some() {
            bail!("the token file `{shown}` has more than a token and a URL");
        }
        Ok(Self {
            token: token.to_owned(),
            url,
        })
    }
}

/// Refuses a file or folder with a secret that others may open. `wanted` is how `chmod` says what must go: `go-rwx`, or
/// `o-rwx` where the group may be let in on purpose.
///
/// # Errors
/// Others may open it, or its mode cannot be read.
pub fn refuse_others(path: &Path, wanted: &str) -> anyhow::Result<()> {
    let mode = std::fs::metadata(path)
        .with_context(|| format!("cannot look at `{}`", path.display()))?
        .permissions()
        .mode();
    let forbidden = if wanted.starts_with("go") {
        0o077
    } else {
        0o007
    };
    if mode & forbidden != 0 {
        bail!(
            "`{path}` holds a secret and has mode {:04o}: run `chmod {wanted} {path}`, and make a new secret if \
             others may have read it",
            mode & 0o7777,
            path = path.display()
        );
    }
    Ok(())
}

impl FromStr for AdminUrl {
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
            base: format!("https://{host}{port}"),
            pin,
        })
    }
}

impl fmt::Display for AdminUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)?;
        match &self.pin {
            Some(pin) => write!(f, "#{pin}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "sha256/A37o5NhNTzGscNBPrsk6xt+t17SIrH/vTrVYaGg/LIg=";

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
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
            let error = TokenFile::read(&path).err().expect(name);
            let said = format!("{error:#}");
            assert!(said.contains(want), "{name}: {said}");
            assert!(!said.contains("canary"), "{name}: {said}");
        }
        std::fs::write(&path, format!("# mine\n\n {token} \n")).expect("writes");
        assert!(TokenFile::read(&path).expect("a token alone").url.is_none());
    }

    #[test]
    fn a_url_is_an_address_and_perhaps_a_pin() {
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
                .parse::<AdminUrl>()
                .map_or_else(|e| e, |url| url.to_string());
            assert_eq!(got, want, "{text}");
        }
        let text = format!("https://10.77.0.1:8444#{PIN}");
        assert_eq!(
            text.parse::<AdminUrl>().map(|url| url.to_string()),
            Ok(text)
        );
    }
}
