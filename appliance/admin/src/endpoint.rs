//! Where the appliance is called: its socket on the same machine, or TLS and a token from elsewhere.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use netboot_pin::{AdminUrl, Pin, TokenFile};
use reqwest::header::HeaderValue;

use crate::failure::Failure;

/// Where the service listens unless it is told otherwise.
const SOCKET: &str = "/run/pxe-appliance/admin.sock";

/// What `--appliance` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApplianceEndpoint {
    Socket(PathBuf),
    Network(AdminUrl),
}

/// All that it takes to call it.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    Socket(PathBuf),
    Network {
        /// `https://10.77.0.1:8444`
        url: String,
        pin: Pin,
        /// What named the pin, for people.
        pinned_by: &'static str,
        /// Does not print itself.
        bearer: HeaderValue,
    },
}

impl Endpoint {
    /// The appliance that was named, else the one that the token file names, else the socket.
    ///
    /// # Errors
    /// The token file cannot be used, or a token, an address or a pin is missing.
    pub(crate) fn resolve(
        appliance: Option<ApplianceEndpoint>,
        token_file: Option<&Path>,
    ) -> Result<Self, Failure> {
        match (appliance, token_file) {
            (Some(ApplianceEndpoint::Socket(socket)), _) => Ok(Self::Socket(socket)),
            (None, None) => Ok(Self::Socket(SOCKET.into())),
            (Some(ApplianceEndpoint::Network(url)), None) => Err(Failure::Argument {
                message: format!("{} opens with a token, and none was named", url.base),
                tip: "copy the appliance's token file here, then add `--token-file FILE` or set PXE_TOKEN_FILE"
                    .to_owned(),
            }),
            (Some(ApplianceEndpoint::Network(url)), Some(file)) => Self::over_tls(Some(url), file),
            (None, Some(file)) => Self::over_tls(None, file),
        }
    }

    /// The appliance at the URL that was named, else at the one that the token file names.
    fn over_tls(named: Option<AdminUrl>, path: &Path) -> Result<Self, Failure> {
        let file = TokenFile::read(path).map_err(|error| Failure::Argument {
            message: format!("{error:#}"),
            tip: "copy it from the appliance again, for yourself alone: `(umask 077; ssh root@APPLIANCE cat /var/lib/pxe-appliance/admin.token >FILE)`"
                .to_owned(),
        })?;
        let url = named.as_ref().or(file.url.as_ref());
        let url = url.ok_or_else(|| Failure::Argument {
            message: format!("`{}` does not say where the appliance is", path.display()),
            tip: "add `--appliance URL`, with the URL that `pxe-appliance` logs at its start"
                .to_owned(),
        })?;
        let of_file = file.url.as_ref().and_then(|url| url.pin);
        let (pin, pinned_by) = match (url.pin, of_file) {
            (Some(pin), _) if named.is_some() => (pin, "`--appliance`"),
            (_, Some(pin)) | (Some(pin), None) => (pin, "the token file"),
            (None, None) => {
                return Err(Failure::Argument {
                    message: format!("no pin is known for the appliance at {}", url.base),
                    tip: format!(
                        "add its pin, which `pxe-appliance` logs at its start: `--appliance {}#sha256/…`",
                        url.base
                    ),
                });
            }
        };
        Ok(Self::Network {
            url: url.base.clone(),
            pin,
            pinned_by,
            bearer: file.bearer(),
        })
    }
}

impl FromStr for ApplianceEndpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("unix", "")) => Err("the path after `unix:` is missing".to_owned()),
            Some(("unix", path)) => Ok(Self::Socket(path.into())),
            Some(("http" | "https", _)) => text.parse().map(Self::Network),
            _ => Err("is neither unix:PATH nor a URL such as https://10.77.0.1:8444".to_owned()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::Network { url, .. } => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PIN: &str = "sha256/A37o5NhNTzGscNBPrsk6xt+t17SIrH/vTrVYaGg/LIg=";
    const OTHER: &str = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    const URL: &str = "https://10.77.0.1:8444";

    #[test]
    fn the_endpoint_is_what_was_named_or_what_the_file_says_or_the_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let secret = "canary-secret".repeat(3);
        let file = |name: &str, more: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("{secret}\n{more}\n")).expect("writes");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
            Some(path)
        };
        let whole = file("whole", &format!("{URL}#{PIN}"));
        let bare = file("bare", "");
        let unpinned = file("unpinned", URL);
        for (name, appliance, file, want) in [
            ("nothing", None, &None, format!("unix:{SOCKET}")),
            (
                "a socket beside a file",
                Some("unix:/run/x".to_owned()),
                &whole,
                "unix:/run/x".to_owned(),
            ),
            (
                "a file alone",
                None,
                &whole,
                format!("{URL} {PIN} the token file"),
            ),
            (
                "another address of the same appliance",
                Some("https://box:1".to_owned()),
                &whole,
                format!("https://box:1 {PIN} the token file"),
            ),
            (
                "another pin",
                Some(format!("{URL}#{OTHER}")),
                &whole,
                format!("{URL} {OTHER} `--appliance`"),
            ),
            (
                "a token alone, and a URL with a pin",
                Some(format!("{URL}#{OTHER}")),
                &bare,
                format!("{URL} {OTHER} `--appliance`"),
            ),
            (
                "a token alone",
                None,
                &bare,
                "does not say where the appliance is".to_owned(),
            ),
            (
                "no pin",
                None,
                &unpinned,
                "no pin is known for the appliance".to_owned(),
            ),
            (
                "no token",
                Some(URL.to_owned()),
                &None,
                "opens with a token".to_owned(),
            ),
            (
                "no file",
                None,
                &Some(folder.path().join("absent")),
                "cannot read the token file".to_owned(),
            ),
        ] {
            let appliance = appliance.map(|text| text.parse().expect("a place"));
            let got = match Endpoint::resolve(appliance, file.as_deref()) {
                Ok(Endpoint::Network {
                    url,
                    pin,
                    pinned_by,
                    ..
                }) => format!("{url} {pin} {pinned_by}"),
                Ok(socket) => socket.to_string(),
                Err(failure) => failure.notice().expect("words").message,
            };
            assert!(got.contains(&want), "{name}: {got}");
            assert!(!got.contains("canary"), "{name}: {got}");
        }
        let endpoint = Endpoint::resolve(None, whole.as_deref()).expect("an endpoint");
        assert!(!format!("{endpoint:?}").contains("canary"), "{endpoint:?}");
    }
}
