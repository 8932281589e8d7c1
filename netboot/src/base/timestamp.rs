//! Moments in UTC, to the millisecond, and spans of time as people write them. A moment is always an argument; the core
//! never asks what time it is.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// Milliseconds since 1970-01-01 00:00 UTC; written as RFC 3339 in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Before every moment.
    pub const MIN: Self = Self(i64::MIN);

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This moment and `later` after it; stops at the end of time instead of wrapping.
    pub fn plus(self, later: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero if it is in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    fn date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// `2026-04-02 10:14:07 UTC`, for people.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
        f.write_str(&self.date_time().format(form).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let form = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        let text = self
            .date_time()
            .format(form)
            .map_err(serde::ser::Error::custom)?;
        to.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let moment = OffsetDateTime::parse(&text, &Rfc3339).map_err(de::Error::custom)?;
        let millis = moment.unix_timestamp_nanos() / 1_000_000;
        Ok(Self(i64::try_from(millis).map_err(de::Error::custom)?))
    }
}

/// Reads a span of time: digits and one unit, such as `30s`, `15m`, `12h` or `7d`. `None` for every other spelling. A
/// span that is too long for the type becomes the longest that it holds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (at, unit) = text.char_indices().last()?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    let digits = &text[..at];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Only a number that is too large fails to parse here.
    let count: u64 = digits.parse().unwrap_or(u64::MAX);
    Some(Duration::from_secs(count.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_json_to_the_millisecond() {
        let moment = Timestamp::from_millis(1_775_124_847_123);
        let json = serde_json::to_string(&moment).expect("writes");
        assert_eq!(json, r#""2026-04-02T10:14:07.123Z""#);
        assert_eq!(
            serde_json::from_str::<Timestamp>(&json).expect("reads"),
            moment
        );
        assert_eq!(moment.to_string(), "2026-04-02 10:14:07 UTC");
        assert_eq!(
            moment.plus(Duration::from_secs(2)).since(moment),
            Duration::from_secs(2)
        );
        assert_eq!(
            moment.since(moment.plus(Duration::from_secs(2))),
            Duration::ZERO
        );
    }

    #[test]
    fn a_span_has_a_number_and_a_unit() {
        for (text, want) in [
            ("0s", Some(0)),
            ("30s", Some(30)),
            ("15m", Some(900)),
            ("12h", Some(43_200)),
            ("7d", Some(604_800)),
            ("99999999999999999999d", Some(u64::MAX)),
            ("", None),
            ("12", None),
            ("h", None),
            ("-1h", None),
            ("+1h", None),
            ("1.5h", None),
            ("12 h", None),
            ("1h30m", None),
            ("12µ", None),
        ] {
            let got = parse_duration(text).map(|span| span.as_secs());
            assert_eq!(got, want, "{text:?}");
        }
    }
}
