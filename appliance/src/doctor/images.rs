//! Kernel and initrd of each installer, as they are on the disk now.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use netboot::base::timestamp::Timestamp;
use netboot::doctor::checks::{BootImageFiles, FileFacts};

use crate::config::InstallerImage;

pub(super) fn look(images: &[InstallerImage]) -> Vec<BootImageFiles> {
    let image = |image: &InstallerImage| BootImageFiles {
        name: format!("{} for {}", image.image.name, image.image.arch),
        kernel: file(&image.kernel),
        initrd: file(&image.initrd),
        version: version(&image.kernel).ok().flatten(),
    };
    images.iter().map(image).collect()
}

fn file(path: &Path) -> Result<FileFacts, String> {
    let looked = || -> io::Result<FileFacts> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        // Readable to the last octet, not only there.
        if let Some(last) = about.len().checked_sub(1) {
            file.read_exact_at(&mut [0], last)?;
        }
        Ok(FileFacts {
            path: path.display().to_string(),
            bytes: about.len(),
            written: Timestamp::from_millis(about.mtime().saturating_mul(1000)),
        })
    };
    looked().map_err(|error| format!("`{}` cannot be read: {error}", path.display()))
}

/// The version that an x86 kernel says of itself: the header that begins at 0x1f1 has its magic at 0x202 and the
/// place of the text, less 0x200, at 0x20e (Documentation/arch/x86/boot.rst).
fn version(kernel: &Path) -> io::Result<Option<String>> {
    let file = File::open(kernel)?;
    let mut header = [0; 0x210];
    file.read_exact_at(&mut header, 0)?;
    if header[0x202..0x206] != *b"HdrS" {
        return Ok(None);
    }
    let at = u64::from(u16::from_le_bytes([header[0x20e], header[0x20f]])) + 0x200;
    let mut text = [0; 64];
    let length = file.read_at(&mut text, at)?;
    let plain = |octet: &&u8| octet.is_ascii_alphanumeric() || b".-_+~".contains(octet);
    let text: String = text[..length]
        .iter()
        .take_while(plain)
        .map(|o| char::from(*o))
        .collect();
    Ok(Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_says_its_version_and_others_say_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kernel");
        let mut kernel = vec![0; 0x500];
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        kernel[0x20e..0x210].copy_from_slice(&0x200_u16.to_le_bytes());
        kernel[0x400..0x410].copy_from_slice(b"6.12.21 (nixbld@");
        std::fs::write(&path, &kernel).expect("writes");
        assert_eq!(version(&path).expect("reads").as_deref(), Some("6.12.21"));

        // The text would be behind the end.
        kernel.truncate(0x300);
        std::fs::write(&path, &kernel).expect("writes");
        assert_eq!(version(&path).expect("reads"), None);
        std::fs::write(&path, [b'x'; 0x400]).expect("writes");
        assert_eq!(version(&path).expect("reads"), None);
        std::fs::write(&path, b"short").expect("writes");
        assert!(version(&path).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let none = folder.path().join("none");
        for path in [none.as_path(), folder.path()] {
            let why = file(path).expect_err("is no image");
            assert!(why.contains(&path.display().to_string()), "{why}");
        }
        let empty = folder.path().join("empty");
        std::fs::write(&empty, b"").expect("writes");
        assert_eq!(file(&empty).expect("is there").bytes, 0);
    }
}
