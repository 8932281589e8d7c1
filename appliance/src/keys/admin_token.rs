//! The token that opens the appliance from a workstation: made at the first start, or a file of the operator's.

use std::io;
use std::path::Path;

use anyhow::Context;
use netboot::base::token::Digest;
use netboot_pin::{AdminUrl, TokenFile, refuse_others};

use super::{file, secret_hash};
use crate::base::clock;

/// The hash of the service's token, from a file of the user's (`own` is false), or from one that the service makes if it
/// is not there. `url` is what a made one says.
///
/// # Errors
/// The file cannot be read or made, others may read it, or it holds no token.
pub fn read_or_make(path: &Path, own: bool, url: &AdminUrl) -> anyhow::Result<Digest> {
    let octets = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => file::read_or_make(path, || {
            let token = hex::encode(clock::random::<32>());
            Ok(format!("{token}\n{url}\n").into_bytes())
        })?,
        octets => {
            octets.with_context(|| format!("cannot read the token file `{}`", path.display()))?
        }
    };
    // A file that was handed to the service may be readable for its group: systemd makes it so.
    refuse_others(path, if own { "go-rwx" } else { "o-rwx" })?;
    let file = TokenFile::parse(path, octets)?;
    if let Some(said) = file.url.as_ref().filter(|said| *said != url) {
        tracing::warn!(
            file = %path.display(),
            says = %said,
            is = %url,
            "the token file names another place or key: copies of it lead nowhere; remove it to have it made again"
        );
    }
    Ok(secret_hash(file.token()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PIN: &str = "sha256/A37o5NhNTzGscNBPrsk6xt+t17SIrH/vTrVYaGg/LIg=";

    fn url() -> AdminUrl {
        let url = format!("https://10.77.0.1:8444#{PIN}").parse();
        url.expect("a URL")
    }

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    }

    #[test]
    fn one_is_made_once_for_its_owner_alone_and_says_all_that_a_workstation_needs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin.token");
        let made = read_or_make(&path, true, &url()).expect("makes one");
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = read_or_make(&path, true, &url()).expect("reads it");
        assert_eq!(made, again);

        let access = TokenFile::read(&path).expect("reads");
        assert_eq!(access.token().len(), 64);
        assert_eq!(secret_hash(access.token()), made);
        assert_eq!(access.url, Some(url()));
        let bearer = access.bearer();
        assert!(!format!("{bearer:?}").contains(access.token()));
        assert_eq!(
            bearer.to_str().ok(),
            Some(format!("Bearer {}", access.token()).as_str())
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
            let read = read_or_make(&path, own, &url());
            assert_eq!(read.is_ok(), good, "{mode:o} {own}");
            if let Err(error) = read {
                let text = format!("{error:#}");
                assert!(text.contains("chmod"), "{text}");
                assert!(!text.contains("canary"), "{text}");
            }
        }
        chmod(&path, 0o640);
        assert!(
            TokenFile::read(&path).is_err(),
            "a workstation's copy is its owner's"
        );
    }
}
