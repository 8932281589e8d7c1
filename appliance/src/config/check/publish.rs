//! `[publish]`: how many releases are kept, and how often the flake's branch is looked at.

use std::time::Duration;

use netboot::base::toml_reader::{Reader, Section};

use crate::config::{PublishConfig, values};

/// `flake`: whether one is named.
pub(super) fn read(reader: &mut Reader<'_>, top: &mut Section<'_>, flake: bool) -> PublishConfig {
    // The server of the repository is asked each time.
    const SHORTEST: Duration = Duration::from_secs(10);

    let mut section = top.section(reader, "publish");
    let keep = section.number(reader, "keep", &(1..=1000));
    let watch = section.parsed(reader, "watch", values::duration);
    if let Some(watch) = &watch {
        if watch.value < SHORTEST {
            reader.problem(&watch.at, "is shorter than ten seconds");
        }
        // If `flake` is there and wrong, that was reported already.
        if !flake && !top.has("flake") {
            reader.problem_with_tip(
                &watch.at,
                "`watch` follows the flake, and `flake` is not set",
                "write at the top of the file, such as flake = \"git+https://example.org/lab\"",
            );
        }
    }
    section.finish(reader);
    let default = PublishConfig::default();
    PublishConfig {
        keep: keep.map_or(default.keep, |n| n.value),
        watch: watch.map(|d| d.value),
    }
}
