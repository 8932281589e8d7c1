//! A TOML text → what Nix's reader would refuse in it: one such file breaks the evaluation of every host of the flake.
//!
//! Both readers take TOML 1.0. But dates and NUL characters are TOML too, and Nix has no value for either.

use toml::Value;

use crate::base::problem::Problem;

/// Every date and every NUL character, in the order of the text; of a text that is not TOML 1.0, the first place where
/// it stops being so.
pub fn check(file: &str, text: &str) -> Vec<Problem> {
    let document: Value = match toml::from_str(text) {
        Ok(document) => document,
        Err(error) => return vec![Problem::from_toml(file, text, &error)],
    };
    let mut found = Vec::new();
    refused(&document, &mut found);
    let problem = |odd: &Odd| {
        let start = odd.place(text);
        Problem::at(
            file,
            text,
            &(start..start),
            format!("{}, which Nix refuses to read", odd.what),
        )
    };
    let mut problems: Vec<Problem> = found.iter().map(problem).collect();
    problems.sort();
    problems
}

/// Something refused, and the ways in which it can be written. The reader of whole documents keeps no places, and the
/// one that does stumbles over dotted keys.
struct Odd {
    what: &'static str,
    spellings: Vec<String>,
}

impl Odd {
    /// Where one of the spellings stands first; the beginning of the text if none does.
    fn place(&self, text: &str) -> usize {
        let places = self
            .spellings
            .iter()
            .filter_map(|spelling| text.find(spelling));
        places.min().unwrap_or(0)
    }

    fn nul(what: &'static str) -> Self {
        let spellings = ["\\u0000", "\\U00000000"].map(str::to_owned).to_vec();
        Self { what, spellings }
    }

    fn date(date: &toml::value::Datetime) -> Self {
        let written = date.to_string();
        // RFC 3339 §5.6: the letter between date and time may be small, or a blank.
        let spellings = ["T", "t", " "].map(|between| written.replacen('T', between, 1));
        Self {
            what: "is a date or a time",
            spellings: spellings.to_vec(),
        }
    }
}

fn refused(value: &Value, found: &mut Vec<Odd>) {
    match value {
        Value::String(text) if text.contains('\0') => found.push(Odd::nul("holds a NUL character")),
        Value::Datetime(date) => found.push(Odd::date(date)),
        Value::Array(all) => all.iter().for_each(|value| refused(value, found)),
        Value::Table(all) => {
            for (key, value) in all {
                if key.contains('\0') {
                    found.push(Odd::nul("is a NUL character in a key"));
                }
                refused(value, found);
            }
        }
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn every_place_that_nix_refuses_is_named() {
        let text = concat!(
            "fine = [1, 2.5, true, \"x\", { y = [] }]\n",
            "since = 2024-01-01 07:32:00Z\n",
            "[a]\n",
            "b = [\"fine\", \"a\\u0000b\", { at = 11:45:00 }]\n",
        );
        let problems: Vec<String> = check("a.toml", text)
            .iter()
            .map(ToString::to_string)
            .collect();
        expect![[r#"
            a.toml:2:9: is a date or a time, which Nix refuses to read
            a.toml:4:16: holds a NUL character, which Nix refuses to read
            a.toml:4:33: is a date or a time, which Nix refuses to read"#]]
        .assert_eq(&problems.join("\n"));
        let problems: Vec<String> = check("a.toml", "\"k\\u0000\" = 1")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            problems,
            ["a.toml:1:3: is a NUL character in a key, which Nix refuses to read"]
        );
    }

    #[test]
    fn a_text_that_only_looks_like_a_date_is_none() {
        assert_eq!(check("a.toml", "d = { date = \"2024-01-01\" }"), []);
    }
}
