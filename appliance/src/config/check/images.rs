//! `[images.<name>]`: installers that are kept as files.

use std::path::{Path, PathBuf};

use netboot::base::toml_reader::{Placed, Reader, Section};
use netboot::loader::script::BootImage;

use super::paths::{PathKind, exists, path};
use crate::config::{InstallerImage, values};

/// One per architecture.
pub(super) fn read(
    reader: &mut Reader<'_>,
    top: &mut Section<'_>,
    folder: &Path,
) -> Vec<InstallerImage> {
    let mut images: Vec<InstallerImage> = Vec::new();
    for (name, mut section) in top.section(reader, "images").sections(reader) {
        let read = image(reader, &name, &mut section, folder);
        section.finish(reader);
        let Some((image, arch)) = read else { continue };
        if let Some(other) = images.iter().find(|i| i.image.arch == image.image.arch) {
            let message = format!(
                "the image `{}` is for `{}` already; there is one per architecture",
                other.image.name, arch.value
            );
            reader.problem(&arch.at, message);
        }
        images.push(image);
    }
    images
}

/// The image, and where its architecture stands.
fn image(
    reader: &mut Reader<'_>,
    name: &Placed<&str>,
    section: &mut Section<'_>,
    folder: &Path,
) -> Option<(InstallerImage, Placed<String>)> {
    if let Err(why) = values::image_name(name.value) {
        reader.problem(&name.at, format!("the image's name {why}"));
    }
    let kernel = file(reader, section, "kernel", folder);
    let initrd = file(reader, section, "initrd", folder);
    let cmdline = section.parsed(reader, "cmdline", values::cmdline);
    let arch = section.parsed(reader, "arch", values::arch);
    for key in ["kernel", "initrd", "arch"] {
        if !section.has(key) {
            let message = format!("the image `{}` has no `{key}`", name.value);
            reader.problem(&name.at, message);
        }
    }
    let arch = arch?;
    let image = InstallerImage {
        kernel: kernel?,
        initrd: initrd?,
        image: BootImage {
            name: name.value.to_owned(),
            arch: arch.value.clone(),
            cmdline: cmdline.map_or_else(String::new, |c| c.value),
        },
    };
    Some((image, arch))
}

fn file(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    key: &'static str,
    folder: &Path,
) -> Option<PathBuf> {
    let file = path(reader, section, key, folder)?;
    exists(reader, &file, PathKind::File).then_some(file.value)
}
