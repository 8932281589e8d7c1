//! The labels of a ZFS pool, which no program of Debian's main archive writes (ZFS On-Disk Specification, chapter 1).

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

const LABEL: u64 = 256 << 10;
/// Within a label: name-value pairs, then a ring of uberblocks of 1 KiB.
const PAIRS: usize = 16 << 10;
const UBERBLOCKS: usize = 128 << 10;
const MAGIC: u64 = 0x00ba_b10c;

/// Writes all four labels of a pool into a part of an image: two at its beginning, two at its end.
pub(crate) fn write_labels(image: &Path, start: u64, size: u64, pool: &str) -> anyhow::Result<()> {
    let mut label = vec![0; usize::try_from(LABEL)?];
    // XDR, little-endian host; version 0, names are unique.
    let mut pairs = vec![1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    pairs.extend(pair("name", 9, &string(pool)));
    pairs.extend(pair(
        "pool_guid",
        8,
        &0x1234_5678_9abc_def0_u64.to_be_bytes(),
    ));
    pairs.extend([0; 8]);
    label[PAIRS..PAIRS + pairs.len()].copy_from_slice(&pairs);
    for block in label[UBERBLOCKS..].chunks_exact_mut(1 << 10) {
        block[..8].copy_from_slice(&MAGIC.to_le_bytes());
    }
    let mut file = File::options().write(true).open(image)?;
    let end = size / LABEL * LABEL;
    for at in [0, LABEL, end - 2 * LABEL, end - LABEL] {
        file.seek(SeekFrom::Start(start + at))?;
        file.write_all(&label)?;
    }
    Ok(())
}

/// Sizes encoded and decoded, name, type, count, value.
fn pair(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    let rest = [
        string(name),
        kind.to_be_bytes().to_vec(),
        1_u32.to_be_bytes().to_vec(),
        value.to_vec(),
    ]
    .concat();
    let size = u32::try_from(rest.len() + 8)
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    [&size[..], &size, &rest].concat()
}

/// Length, octets, up to a multiple of four.
fn string(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut octets = [&length.to_be_bytes()[..], text.as_bytes()].concat();
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}
