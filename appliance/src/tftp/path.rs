//! The name a TFTP client asks for → whose loader, or why there is none.

use std::path::Path;

use netboot::mac::Mac;

/// `52-54-00-12-34-56/snponly.efi`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) mac: Mac,
    /// As it was asked for; only a name that is known is ever opened.
    pub(super) file: String,
}

/// Reads a name. Backslashes are slashes, as some ROMs write them, and the NUL or 0xff that firmware
/// leaves behind a name is cut off; whatever else is not exactly a machine's folder and a file is refused.
pub(super) fn read(path: &Path) -> Result<Asked, String> {
    const FORM: &str = "is not a machine's folder and a file in it";

    let text = path.to_str().ok_or(FORM)?.replace('\\', "/");
    let text = text.trim_end_matches(['\0', '\u{ff}']);
    let text = text.strip_prefix('/').unwrap_or(text);
    let (folder, file) = text.split_once('/').ok_or(FORM)?;
    let mac: Mac = folder.parse().map_err(|_| FORM)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !folder.eq_ignore_ascii_case(&mac.dashed()) || !file.chars().all(plain) {
        return Err(FORM.to_owned());
    }
    Ok(Asked {
        mac,
        file: file.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_machines_own_folder_is_read_in_the_spellings_of_firmware() {
        for (name, path) in [
            ("plain", "52-54-00-12-34-56/snponly.efi"),
            ("from the root", "/52-54-00-12-34-56/snponly.efi"),
            (
                "backslash, as WDS clients do",
                "\\52-54-00-12-34-56\\snponly.efi",
            ),
            ("a NUL left behind", "52-54-00-12-34-56/snponly.efi\0"),
            ("0xff left behind", "52-54-00-12-34-56/snponly.efi\u{ff}"),
        ] {
            let asked = read(Path::new(path)).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(asked.mac.to_string(), "52:54:00:12:34:56", "{name}");
            assert_eq!(asked.file, "snponly.efi", "{name}");
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        let long = format!("52-54-00-12-34-56/{}", "a/".repeat(2048));
        for path in [
            "",
            "/",
            "snponly.efi",
            "52-54-00-12-34-56",
            "52:54:00:12:34:56/snponly.efi",
            "525400123456/snponly.efi",
            " 52-54-00-12-34-56/snponly.efi",
            "01-00-5e-00-00-01/snponly.efi",
            "52-54-00-12-34-56/../snponly.efi",
            "52-54-00-12-34-56/../../etc/passwd",
            "52-54-00-12-34-56//etc/passwd",
            "52-54-00-12-34-56/a/../snponly.efi",
            "52-54-00-12-34-56\\..\\..\\etc\\passwd",
            "../52-54-00-12-34-56/snponly.efi",
            "//52-54-00-12-34-56/snponly.efi",
            "....//52-54-00-12-34-56/snponly.efi",
            "/etc/passwd",
            "..\\..\\boot.ini",
            "%2e%2e/etc/passwd",
            "52-54-00-12-34-56/%2e%2e%2fetc%2fpasswd",
            "52-54-00-12-34-56/snponly.efi\0.txt",
            "52-54-00-12-34-56/snponly.efi\n",
            "52-54-00-12-34-56/$(id)",
            "C:\\52-54-00-12-34-56\\snponly.efi",
            long.as_str(),
        ] {
            assert!(read(Path::new(path)).is_err(), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn no_name_leads_out_of_the_folder(text: String) {
            if let Ok(asked) = read(Path::new(&text)) {
                prop_assert!(!asked.file.contains(['/', '\\', '\0']));
            }
        }
    }
}
