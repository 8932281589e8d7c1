//! A NAR, Nix's archive of one store path → what is in it. Read whole and never trusted.

use std::collections::BTreeMap;

/// A file, a link or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NarNode<'a> {
    File { executable: bool, content: &'a [u8] },
    Link { target: &'a [u8] },
    Folder(BTreeMap<&'a [u8], NarNode<'a>>),
}

/// Octets that are not a NAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a NAR")]
pub struct NotANar;

/// Folders within folders. Nix itself has no limit; the stack has one.
const DEEPEST: usize = 256;

impl<'a> NarNode<'a> {
    /// What stands at `bin/init` below this node. Links are not followed.
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, |node, name| match node {
            Self::Folder(entries) => entries.get(name.as_bytes()),
            _ => None,
        })
    }

    /// The octets of a file.
    pub fn content(&self) -> Option<&'a [u8]> {
        match self {
            Self::File { content, .. } => Some(content),
            _ => None,
        }
    }
}

/// Reads an archive (Dolstra, "The Purely Functional Software Deployment Model", figure 5.2): strings of a 64-bit
/// length, filled up with zeros to a multiple of eight octets.
///
/// # Errors
/// Something else than one whole archive.
pub fn read(octets: &[u8]) -> Result<NarNode<'_>, NotANar> {
    let mut rest = Rest(octets);
    rest.expect(b"nix-archive-1")?;
    let node = rest.node(0)?;
    if rest.0.is_empty() {
        Ok(node)
    } else {
        Err(NotANar)
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn string(&mut self) -> Result<&'a [u8], NotANar> {
        let (length, rest) = self.0.split_first_chunk::<8>().ok_or(NotANar)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| NotANar)?;
        let (text, rest) = rest.split_at_checked(length).ok_or(NotANar)?;
        let (fill, rest) = rest
            .split_at_checked(length.wrapping_neg() % 8)
            .ok_or(NotANar)?;
        if fill.iter().any(|octet| *octet != 0) {
            return Err(NotANar);
        }
        self.0 = rest;
        Ok(text)
    }

    fn expect(&mut self, wanted: &[u8]) -> Result<(), NotANar> {
        if self.string()? == wanted {
            Ok(())
        } else {
            Err(NotANar)
        }
    }

    fn node(&mut self, depth: usize) -> Result<NarNode<'a>, NotANar> {
        if depth > DEEPEST {
            return Err(NotANar);
        }
        self.expect(b"(")?;
        self.expect(b"type")?;
        match self.string()? {
            b"regular" => self.file(),
            b"symlink" => {
                self.expect(b"target")?;
                let target = self.string()?;
                self.expect(b")")?;
                Ok(NarNode::Link { target })
            }
            b"directory" => self.folder(depth),
            _ => Err(NotANar),
        }
    }

    fn file(&mut self) -> Result<NarNode<'a>, NotANar> {
        let (mut executable, mut content): (_, &[u8]) = (false, &[]);
        let mut word = self.string()?;
        if word == b"executable" {
            executable = true;
            self.expect(b"")?;
            word = self.string()?;
        }
        if word == b"contents" {
            content = self.string()?;
            word = self.string()?;
        }
        if word == b")" {
            Ok(NarNode::File {
                executable,
                content,
            })
        } else {
            Err(NotANar)
        }
    }

    fn folder(&mut self, depth: usize) -> Result<NarNode<'a>, NotANar> {
        let mut entries = BTreeMap::new();
        loop {
            match self.string()? {
                b")" => return Ok(NarNode::Folder(entries)),
                b"entry" => {}
                _ => return Err(NotANar),
            }
            self.expect(b"(")?;
            self.expect(b"name")?;
            let name = self.string()?;
            let bad = name.is_empty() || name == b"." || name == b"..";
            if bad || name.iter().any(|octet| matches!(octet, 0 | b'/')) {
                return Err(NotANar);
            }
            // Sorted and each once, so that a tree has one archive only.
            if entries
                .last_key_value()
                .is_some_and(|(last, _)| *last >= name)
            {
                return Err(NotANar);
            }
            self.expect(b"node")?;
            let node = self.node(depth + 1)?;
            self.expect(b")")?;
            entries.insert(name, node);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The strings of an archive, blanks between them; `~` is the empty one.
    fn archive(words: &str) -> Vec<u8> {
        let mut octets = Vec::new();
        for word in words.split_whitespace() {
            let word = if word == "~" { "" } else { word };
            octets.extend(u64::try_from(word.len()).expect("short").to_le_bytes());
            octets.extend(word.as_bytes());
            octets.resize(octets.len().next_multiple_of(8), 0);
        }
        octets
    }

    const SYSTEM: &str = "nix-archive-1 ( type directory \
        entry ( name bin node ( type directory \
            entry ( name switch node ( type regular executable ~ contents #!/bin/sh ) ) ) ) \
        entry ( name empty node ( type regular ) ) \
        entry ( name kernel node ( type symlink target /nix/store/kernel ) ) )";

    #[test]
    fn what_is_in_it_is_found_by_its_path() {
        let octets = archive(SYSTEM);
        let node = read(&octets).expect("an archive");
        let switch = node.at("bin/switch").expect("is there");
        assert_eq!(switch.content(), Some(&b"#!/bin/sh"[..]));
        assert!(matches!(
            switch,
            NarNode::File {
                executable: true,
                ..
            }
        ));
        assert_eq!(node.at("empty").and_then(NarNode::content), Some(&b""[..]));
        let link = NarNode::Link {
            target: b"/nix/store/kernel",
        };
        assert_eq!(node.at("kernel"), Some(&link));
        for absent in ["init", "kernel/x", "bin/switch/x", "", "bin/"] {
            assert_eq!(node.at(absent), None, "{absent}");
        }
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let deep =
            "nix-archive-1 ".to_owned() + &"( type directory entry ( name a node ".repeat(100_000);
        for (name, words) in [
            ("nothing", ""),
            ("another format", "nix-archive-2 ( type regular )"),
            ("cut short", "nix-archive-1 ( type directory entry ( name a"),
            ("more behind it", "nix-archive-1 ( type regular ) )"),
            ("an unknown kind", "nix-archive-1 ( type socket )"),
            (
                "a way out",
                "nix-archive-1 ( type directory entry ( name .. node ( type regular ) ) )",
            ),
            (
                "a path for a name",
                "nix-archive-1 ( type directory entry ( name a/b node ( type regular ) ) )",
            ),
            (
                "one name twice",
                "nix-archive-1 ( type directory entry ( name a node ( type regular ) ) entry ( name a node ( type regular ) ) )",
            ),
            ("too deep", deep.as_str()),
        ] {
            assert_eq!(read(&archive(words)), Err(NotANar), "{name}");
        }
        // A length that no memory has.
        let mut octets = archive("nix-archive-1");
        octets.extend(u64::MAX.to_le_bytes());
        assert_eq!(read(&octets), Err(NotANar));
        // Filled up with something else than zeros.
        let mut octets = archive("nix-archive-1 ( type regular )");
        octets[8 + 13] = 1;
        assert_eq!(read(&octets), Err(NotANar));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&octets);
        }

        #[test]
        fn an_archive_with_one_octet_changed_is_read_or_refused(at in 0_usize..700, to: u8) {
            let mut octets = archive(SYSTEM);
            let at = at % octets.len();
            octets[at] = to;
            let _ = read(&octets);
        }
    }
}
