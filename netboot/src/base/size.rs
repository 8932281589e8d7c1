//! Sizes as people write them, and for a person to read. Units are powers of 1024, as disk tools mean them.

/// A number and the unit behind it: `20` and `G` of `20G`. `None` if there is no number, or one of more than 64 bits.
pub fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let is_unit = |c: char| !c.is_ascii_digit();
    let (digits, unit) = text.split_at(text.find(is_unit).unwrap_or(text.len()));
    Some((digits.parse().ok()?, unit))
}

/// Bytes: `20G`, `512M`, `1TiB`, `1048576`. `None` for every other spelling, and for what 64 bits do not hold.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let shift = match unit {
        "" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        "P" | "PiB" => 50,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// Bytes in the largest unit that leaves at least one whole: `31.5 GiB`.
pub fn size_words(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for bigger in units {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = bigger;
    }
    match unit {
        "B" => format!("{bytes} B"),
        _ => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, want) in [
            ("20G", Some(20 << 30)),
            ("512M", Some(512 << 20)),
            ("4KiB", Some(4 << 10)),
            ("3T", Some(3 << 40)),
            ("2P", Some(2 << 50)),
            ("7", Some(7)),
            ("x", None),
            ("", None),
            ("G", None),
            ("+1G", None),
            ("1 G", None),
            ("1.5T", None),
            ("1g", None),
            ("20GB", None),
            ("99999999999T", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse_size(text), want, "{text}");
        }
    }
}
