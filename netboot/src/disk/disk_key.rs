//! 256 random bits → the key of a machine's encrypted disks, as a person can type it.

/// Sixteen letters that lie in the same place on nearly every keyboard, whatever is printed on the keys; the n-th is the
/// digit n ("modhex", as in the recovery keys of systemd-cryptenroll(1)).
const LETTERS: &[u8; 16] = b"cbdefghijklnrtuv";

/// Octets in a group.
const GROUP: usize = 4;

/// Eight groups of eight letters, with a `-` between two. All of this text, with the `-`, is what opens a volume.
pub fn text(octets: &[u8; 32]) -> String {
    let groups = octets.chunks(GROUP).map(|group| {
        let letters = group.iter().flat_map(|octet| [octet >> 4, octet & 15]);
        letters
            .map(|digit| char::from(LETTERS[usize::from(digit)]))
            .collect::<String>()
    });
    groups.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_written_in_groups_of_modhex() {
        // What Yubico's documentation gives for `test`.
        let octets = b"test".repeat(8).try_into().expect("32 octets");
        assert_eq!(text(&octets), ["ifhgieif"; 8].join("-"));
        let octets: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 8 + 7).unwrap_or(0));
        assert_eq!(
            text(&octets),
            "cicvbibv-didveiev-fifvgigv-hihviiiv-jijvkikv-lilvninv-rirvtitv-uiuvvivv"
        );
    }

    proptest! {
        #[test]
        fn no_bit_is_lost(octets: [u8; 32]) {
            let written = text(&octets);
            prop_assert_eq!(written.len(), 71);
            let digit = |c: u8| LETTERS.iter().position(|l| *l == c);
            let digits: Vec<usize> = written.bytes().filter_map(digit).collect();
            let read: Vec<u8> = digits.chunks(2).map(|d| u8::try_from(d[0] * 16 + d[1]).unwrap_or(0)).collect();
            prop_assert_eq!(&read[..], &octets[..]);
        }
    }
}
