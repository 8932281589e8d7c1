//! Paths of the file's own folder, and what must lie there.

use std::path::{Path, PathBuf};

use netboot::base::toml_reader::{Placed, Reader, Section};

use crate::config::values;

/// A path; relative ones are so to the folder of the file.
pub(super) fn path(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    key: &'static str,
    folder: &Path,
) -> Option<Placed<PathBuf>> {
    section.parsed(reader, key, |text| {
        if text.is_empty() || text.contains('\0') {
            Err("is not a path".to_owned())
        } else {
            Ok(folder.join(text))
        }
    })
}

/// A flake URL as it is; a path made absolute, because `pxe-admin` runs elsewhere.
pub(super) fn flake(
    reader: &mut Reader<'_>,
    top: &mut Section<'_>,
    folder: &Path,
) -> Option<String> {
    let written = top.parsed(reader, "flake", values::flake)?;
    // Not in `values`: what is wrong with a value is told with the value.
    if let Some(tip) = values::credentials(&written.value) {
        let message = "holds credentials, and a flake's URL is in the log, in events and in what `pxe-admin` prints";
        reader.problem_with_tip(&written.at, message, tip);
        return None;
    }
    if values::is_url(&written.value) {
        return Some(written.value);
    }
    let path = std::path::absolute(folder.join(&written.value));
    let path = Placed {
        value: path.unwrap_or_else(|_| folder.join(&written.value)),
        at: written.at,
    };
    exists(reader, &path, PathKind::Folder).then(|| path.value.display().to_string())
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PathKind {
    File,
    Folder,
}

/// Whether it is there and of this kind; if not, that is a problem.
pub(super) fn exists(reader: &mut Reader<'_>, path: &Placed<PathBuf>, kind: PathKind) -> bool {
    let shown = path.value.display();
    let message = match (std::fs::metadata(&path.value), kind) {
        (Ok(is), PathKind::File) if is.is_file() => return true,
        (Ok(is), PathKind::Folder) if is.is_dir() => return true,
        (Ok(_), PathKind::File) => format!("`{shown}` is not a file"),
        (Ok(_), PathKind::Folder) => format!("`{shown}` is not a folder"),
        (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("`{shown}` does not exist")
        }
        (Err(error), _) => format!("`{shown}` cannot be read: {error}"),
    };
    reader.problem(&path.at, message);
    false
}

pub(super) fn or(path: Option<Placed<PathBuf>>, default: &str) -> PathBuf {
    path.map_or_else(|| PathBuf::from(default), |p| p.value)
}
