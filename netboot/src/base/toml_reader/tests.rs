//! Every shape that TOML has for a key: its value is read, and what is wrong with either is found where it stands.

use super::*;
use crate::base::problem::Problem;

mod told;

/// Name, and the text: `«` stands before the key and `»` before its value.
const SHAPES: &[(&str, &str)] = &[
    ("above all tables", "«KEY = »VALUE\n"),
    ("below a header", "[t]\n«KEY = »VALUE\n"),
    ("a header with blanks", "\n [ t ] # t\n  «KEY=»VALUE # it\n"),
    (
        "below a header, as the last",
        "[t]\nnote = \"x\"\n«KEY = »VALUE",
    ),
    ("a dotted key", "t.«KEY = »VALUE\n"),
    ("a dotted key of three parts", "t.in.«KEY = »VALUE\n"),
    (
        "a dotted key after another",
        "t.note = \"x\"\nt.in.note = \"x\"\nt.in.«KEY = »VALUE\n",
    ),
    ("a dotted key with blanks", "t . in .\t«KEY\t= »VALUE\n"),
    ("a dotted key below a header", "[t]\nin.«KEY = »VALUE\n"),
    (
        "a dotted key of quoted parts",
        "\"t\".'in'.«\"KEY\" = »VALUE\n",
    ),
    ("a header of three parts", "[n.one]\n«KEY = »VALUE\n"),
    ("a header of a quoted part", "[n.\"a.b\"]\n«KEY = »VALUE\n"),
    (
        "a header after that of its table's table",
        "[t.in]\n[t]\n«KEY = »VALUE\n",
    ),
    (
        "a header behind that of another",
        "[t]\n[n]\n[t.in]\n«KEY = »VALUE\n",
    ),
    ("an inline table", "t = { «KEY = »VALUE }\n"),
    (
        "an inline table in another",
        "t = { note = \"}\", in = {«KEY=»VALUE} }\n",
    ),
    (
        "a dotted key in an inline table",
        "t = { in.note = \"x\", in.«KEY = »VALUE }\n",
    ),
    (
        "an inline table of a name that the user chose",
        "n = { one = { «KEY = »VALUE } }\n",
    ),
    (
        "an array of tables",
        "[[t]]\nnote = \"x\"\n[[t]]\n«KEY = »VALUE\n",
    ),
    (
        "a table in one of an array",
        "[[t]]\n[[t]]\n[t.in]\n«KEY = »VALUE\n",
    ),
    (
        "a dotted key in one of an array",
        "[[t]]\nin.«KEY = »VALUE\n",
    ),
    (
        "inline tables in an array",
        "t = [{ note = \"x\" }, { «KEY = »VALUE }]\n",
    ),
    (
        "inline tables over lines",
        "t = [ # all\n  {},\n\n  { in.«KEY = »VALUE },\n]\n",
    ),
    (
        "after a multi-line string",
        "note = \"\"\"\nword = 1\n[t]\n\"\"\"\n«KEY = »VALUE\n",
    ),
    (
        "after a literal one",
        "note = '''\nword = 1\\\n'''\nt.«KEY = »VALUE\n",
    ),
    (
        "after one on its own line",
        "t = { note = \"\"\"\n\n x\"\"\", «KEY = »VALUE }\n",
    ),
    (
        "lines that end with CRLF",
        "note = \"x\"\r\n\r\n[t]\r\n«KEY = »VALUE\r\n",
    ),
    (
        "a multi-line string with CRLF",
        "note = \"\"\"\r\nx\r\n\"\"\"\r\n«KEY = »VALUE\r\n",
    ),
    ("a byte order mark", "\u{feff}«KEY = »VALUE\n"),
    (
        "a byte order mark and a header",
        "\u{feff}[t]\n«KEY = »VALUE\n",
    ),
    ("tabs", "[t]\n\t\t«KEY\t=\t»VALUE\t\n"),
    (
        "letters beyond ASCII in a comment",
        "# größe 🙂\n[t] # ß\n«KEY = »VALUE\n",
    ),
    (
        "letters beyond ASCII on the line",
        "t = { note = \"größe 🙂\", «KEY = »VALUE }\n",
    ),
    (
        "letters beyond ASCII in a key",
        "n = { \"größe 🙂\" = { «KEY = »VALUE } }\n",
    ),
];

/// The text of a shape, and line and column of its key and its value.
fn fill(shape: &str, key: &str, value: &str) -> (String, [(usize, usize); 2]) {
    let shape = shape.replace("KEY", key).replace("VALUE", value);
    let plain = |text: &str| text.replace(['«', '»'], "");
    let places = ['«', '»'].map(|mark| {
        let (before, _) = shape.split_once(mark).expect("is marked");
        let before = plain(before);
        let line = before.rsplit('\n').next().unwrap_or_default();
        let columns = line.chars().filter(|c| *c != '\u{feff}').count();
        (before.matches('\n').count() + 1, columns + 1)
    });
    (plain(&shape), places)
}

/// What is wrong with it, and every `word`.
fn read(text: &str) -> (Vec<Problem>, Vec<Placed<String>>) {
    let document = match Document::parse("a.toml", text) {
        Ok(document) => document,
        Err(problem) => return (vec![problem], Vec::new()),
    };
    let mut reader = Reader::new("a.toml", text);
    let mut words = Vec::new();
    nix::refuse(&mut reader, &document);
    let mut top = document.top();
    for mut table in top.one_or_several(&mut reader, "t") {
        let mut inner = table.section(&mut reader, "in");
        read_one(&mut reader, &mut inner, &mut words);
        read_one(&mut reader, &mut table, &mut words);
    }
    for (_, mut table) in top.section(&mut reader, "n").sections(&mut reader) {
        read_one(&mut reader, &mut table, &mut words);
    }
    read_one(&mut reader, &mut top, &mut words);
    (reader.into_problems(), words)
}

fn read_one(reader: &mut Reader<'_>, table: &mut Section<'_>, words: &mut Vec<Placed<String>>) {
    table.text(reader, "note");
    words.extend(table.text(reader, "word").map(|word| Placed {
        value: word.value.to_owned(),
        at: word.at,
    }));
    table.finish(reader);
}

fn placed(problems: &[Problem]) -> Vec<(usize, usize, &str)> {
    problems
        .iter()
        .map(|problem| (problem.line, problem.column, problem.message.as_str()))
        .collect()
}

#[test]
fn a_value_is_read_and_placed_in_every_shape() {
    for (name, shape) in SHAPES {
        for (literal, value) in [
            ("\"here\"", "here"),
            ("'here'", "here"),
            ("\"\"\"\nhe\\\n  re\"\"\"", "here"),
            ("'''\r\nhere'''", "here"),
            ("\"h\\u00e4r\"", "här"),
        ] {
            let (text, [_, at]) = fill(shape, "word", literal);
            let (problems, words) = read(&text);
            assert_eq!(problems, [], "{name}: {text}");
            let [word] = words.as_slice() else {
                panic!("{name}: {words:?}");
            };
            assert_eq!(word.value, value, "{name}: {text}");
            assert_eq!(&text[word.at.clone()], literal, "{name}: {text}");
            let place = Problem::at("a.toml", &text, &word.at, "");
            assert_eq!((place.line, place.column), at, "{name}: {text}");
        }
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_found_in_every_shape() {
    for (name, shape) in SHAPES {
        for (literal, found) in [
            ("7", "an integer"),
            ("-1.5", "a float"),
            ("true", "a boolean"),
            ("[ \"x\" ]", "a list"),
            ("{ x = 1 }", "a table"),
        ] {
            let (text, [_, (line, column)]) = fill(shape, "word", literal);
            let (problems, _) = read(&text);
            let message = format!("`word` must be a string in quotes, found {found}");
            assert_eq!(
                placed(&problems),
                [(line, column, &*message)],
                "{name}: {text}"
            );
        }
    }
}

#[test]
fn what_nix_refuses_is_found_once_in_every_shape() {
    for (name, shape) in SHAPES {
        for (literal, what) in [
            ("2024-01-01", "is a date or a time"),
            ("07:32:00", "is a date or a time"),
            ("\"a\\u0000\"", "holds a NUL character"),
        ] {
            let (text, [_, (line, column)]) = fill(shape, "word", literal);
            let (problems, _) = read(&text);
            let message = format!("{what}, which Nix refuses to read");
            assert_eq!(
                placed(&problems),
                [(line, column, &*message)],
                "{name}: {text}"
            );
        }
    }
}

#[test]
fn an_unknown_key_is_found_in_every_shape() {
    for (name, shape) in SHAPES {
        let (text, [at, _]) = fill(shape, "wrod", "7");
        let (problems, _) = read(&text);
        let [only] = problems.as_slice() else {
            panic!("{name}: {problems:?}");
        };
        assert_eq!((only.line, only.column), at, "{name}: {text}");
        let message = "unknown field `wrod`, expected one of ";
        assert!(only.message.starts_with(message), "{name}: {only}");
        assert_eq!(only.tip.as_deref(), Some("did you mean `word`?"), "{name}");
    }
}
