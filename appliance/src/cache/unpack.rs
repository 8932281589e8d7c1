//! A packed NAR → its hashes and sizes, or the NAR itself. Reads what a stranger may have sent.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use lzma_rust2::XzReader;
use netboot::publish::narinfo::Compression;
use netboot::publish::nix_hash::NixHash;
use ruzstd::decoding::StreamingDecoder;
use sha2::{Digest, Sha256};

/// Bytes read from the disk at once.
const CHUNK: usize = 256 * 1024;

/// KiB of memory that a packed file may ask for. `xz -9` wants 64 MiB.
const XZ_MEMORY: u32 = 128 * 1024;

/// What a file was found to be.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) file_hash: NixHash,
    pub(super) file_size: u64,
    /// Hash and size of what is packed in it.
    pub(super) nar: Result<(NixHash, u64), BadContent>,
}

/// Why the content of a packed file cannot be used.
#[derive(Debug)]
pub(super) enum BadContent {
    /// The content is longer than the limit.
    TooLong,
    Broken(String),
}

/// Reads a file to its end, and unpacks at most `limit` bytes and one: a small file may hold terabytes.
///
/// # Errors
/// The file itself cannot be read.
pub(super) fn look(file: &Path, packed: Compression, limit: u64) -> io::Result<Unpacked> {
    let mut source = HashingReader::open(file)?;
    let mut hash = Sha256::new();
    let nar = through(&mut source, packed, limit, |octets| hash.update(octets));
    if let Some(error) = source.broken.take() {
        return Err(error);
    }
    // The rest of the file, which was not unpacked, counts for its hash and size as well.
    io::copy(&mut source, &mut io::sink())?;
    Ok(Unpacked {
        file_size: source.bytes,
        file_hash: NixHash(source.hash.finalize().into()),
        nar: nar.map(|size| (NixHash(hash.finalize().into()), size)),
    })
}

/// The NAR itself, if it is no longer than `limit` bytes.
pub(super) fn whole(file: &Path, packed: Compression, limit: u64) -> io::Result<Vec<u8>> {
    let mut nar = Vec::new();
    let mut source = HashingReader::open(file)?;
    let read = through(&mut source, packed, limit, |octets| {
        nar.extend_from_slice(octets);
    });
    if let Some(error) = source.broken.take() {
        return Err(error);
    }
    match read {
        Ok(_) => Ok(nar),
        Err(BadContent::TooLong) => Err(io::Error::other("it is longer than it should be")),
        Err(BadContent::Broken(why)) => Err(io::Error::other(why)),
    }
}

/// Gives what is packed in the source to `take`, and how many bytes it was.
fn through(
    source: &mut HashingReader,
    packed: Compression,
    limit: u64,
    mut take: impl FnMut(&[u8]),
) -> Result<u64, BadContent> {
    let mut source = BufReader::with_capacity(CHUNK, source);
    let mut bytes = 0;
    match packed {
        Compression::Plain => drain(&mut source, limit, &mut bytes, &mut take)?,
        Compression::Xz => {
            let mut reader = XzReader::new_mem_limit(&mut source, true, XZ_MEMORY);
            drain(&mut reader, limit, &mut bytes, &mut take)?;
        }
        // A file may be several frames, one behind the other.
        Compression::Zstd => {
            while !source.fill_buf().map_err(|e| broken(&e))?.is_empty() {
                let mut frame = StreamingDecoder::new(&mut source).map_err(|e| broken(&e))?;
                drain(&mut frame, limit, &mut bytes, &mut take)?;
            }
        }
    }
    Ok(bytes)
}

fn drain(
    reader: &mut dyn Read,
    limit: u64,
    bytes: &mut u64,
    take: &mut dyn FnMut(&[u8]),
) -> Result<(), BadContent> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match reader.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(&error)),
        };
        *bytes += read as u64;
        if *bytes > limit {
            return Err(BadContent::TooLong);
        }
        take(&chunk[..read]);
    }
}

fn broken(error: &dyn std::error::Error) -> BadContent {
    BadContent::Broken(error.to_string())
}

/// A file that is hashed and counted as it is read. A fault of the disk is kept apart from those of its content.
struct HashingReader {
    file: File,
    hash: Sha256,
    bytes: u64,
    broken: Option<io::Error>,
}

impl HashingReader {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            hash: Sha256::new(),
            bytes: 0,
            broken: None,
        })
    }
}

impl Read for HashingReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.broken = Some(io::Error::new(error.kind(), error.to_string()));
            }
        })?;
        self.hash.update(&into[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
