//! Sizes, times and tables as people read them.

use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Row, Table};
use netboot::base::arch::Arch;

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// `1.2 GiB`; whole numbers below 1 KiB and from 100 on.
pub(crate) fn bytes(count: u64) -> String {
    let unit = unit(count);
    format!("{} {}", in_unit(count, unit), UNITS[unit])
}

/// `1.2 / 2.9 GiB`, both in the unit of the second.
pub(crate) fn bytes_of(done: u64, total: u64) -> String {
    let unit = unit(total);
    format!(
        "{} / {} {}",
        in_unit(done, unit),
        in_unit(total, unit),
        UNITS[unit]
    )
}

fn unit(count: u64) -> usize {
    // 999.95 KiB and more would print as 1000 KiB.
    (1..UNITS.len())
        .take_while(|unit| scaled(count, *unit) >= 0.976_5)
        .last()
        .unwrap_or(0)
}

fn scaled(count: u64, unit: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let count = count as f64;
    count / 1024_f64.powi(i32::try_from(unit).unwrap_or(0))
}

fn in_unit(count: u64, unit: usize) -> String {
    let scaled = scaled(count, unit);
    if unit == 0 || scaled >= 99.95 {
        format!("{scaled:.0}")
    } else {
        format!("{scaled:.1}")
    }
}

/// `02:20`; minutes go on beyond an hour.
pub(crate) fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

pub(crate) fn arch(arch: Arch) -> String {
    match arch {
        Arch::Bios => "bios".to_owned(),
        Arch::X86 => "x86".to_owned(),
        Arch::X64 => "x64".to_owned(),
        Arch::Arm32 => "arm32".to_owned(),
        Arch::Arm64 => "arm64".to_owned(),
        Arch::Riscv64 => "riscv64".to_owned(),
        Arch::Other(number) => format!("arch-{number}"),
    }
}

/// The text, or `-` for what is not known.
pub(crate) fn or_dash(text: Option<impl ToString>) -> String {
    text.map(|text| text.to_string())
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "-".to_owned())
}

/// `1a2b3c4d5e6f`, as long as Git's own short form in a large repository; `1a2b3c4d5e6f-dirty` with changes.
pub(crate) fn revision(revision: Option<&str>, dirty: bool) -> String {
    match (revision, dirty) {
        (None, false) => "-".to_owned(),
        (None, true) => "dirty".to_owned(),
        (Some(revision), dirty) => {
            let short: String = revision.chars().take(12).collect();
            format!("{short}{}", if dirty { "-dirty" } else { "" })
        }
    }
}

/// Columns aligned to the left, two blanks between them, no blanks at the end of a line.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut table = unstyled_table(rows);
    table.set_header(head);
    aligned(table)
}

/// `name  value` lines, values aligned, indented by two.
pub(crate) fn fields(rows: &[(&str, String)]) -> String {
    indented(&aligned(unstyled_table(
        rows.iter().map(|(name, value)| [*name, value]),
    )))
}

/// A table without lines, not fitted to any terminal: what is printed is the same everywhere.
fn unstyled_table<R: Into<Row>>(rows: impl IntoIterator<Item = R>) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .add_rows(rows);
    table
}

fn aligned(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Indents every line by two.
pub(crate) fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_at_most() {
        for (count, want) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 KiB"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (102_400, "100 KiB"),
            (1_048_000, "1.0 MiB"),
            (20 << 30, "20.0 GiB"),
            (3 << 40, "3.0 TiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(bytes(count), want, "{count}");
        }
        assert_eq!(bytes_of(1 << 20, 3 << 30), "0.0 / 3.0 GiB");
        assert_eq!(bytes_of(0, 0), "0 / 0 B");
    }

    #[test]
    fn columns_are_aligned_and_lines_end_where_their_text_ends() {
        let rows = [
            ["a".to_owned(), "long cell".to_owned(), "-".to_owned()],
            ["ö".to_owned(), "x".to_owned(), String::new()],
            ["盤".to_owned(), "wide".to_owned(), "y".to_owned()],
        ];
        assert_eq!(
            table(["NAME", "B", "C"], &rows),
            "NAME  B          C\na     long cell  -\nö     x\n盤    wide       y"
        );
        let rows = [("name", "node1".to_owned()), ("ö", String::new())];
        assert_eq!(fields(&rows), "  name  node1\n  ö");
        assert_eq!(fields(&[]), "");
        assert_eq!(table(["A", "B"], &[]), "A  B");
    }

    #[test]
    fn a_revision_is_short_and_says_that_there_was_more() {
        let commit = "98f5d3d44863881ed45a0e3cb6f6c8ce68d933d0";
        for (text, dirty, want) in [
            (Some(commit), false, "98f5d3d44863"),
            (Some(commit), true, "98f5d3d44863-dirty"),
            (None, true, "dirty"),
            (None, false, "-"),
        ] {
            assert_eq!(revision(text, dirty), want);
        }
    }
}
