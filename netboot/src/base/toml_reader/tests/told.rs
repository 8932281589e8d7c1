//! What is wrong with a text, as a person is told it.

use expect_test::{Expect, expect};

use super::*;

/// Rows of a name and a text → the name, and all that is wrong with the text.
fn told(rows: &[(&str, &str)], want: &Expect) {
    let mut told = String::new();
    for (name, text) in rows {
        let (problems, _) = read(text);
        assert!(!problems.is_empty(), "{name}: is fine");
        told.push_str(&format!("{name}\n"));
        for problem in problems {
            told.push_str(&format!("  {problem}\n"));
        }
    }
    want.assert_eq(&told);
}

#[test]
fn a_key_that_is_there_twice_is_found() {
    told(
        &[
            ("above all tables", "word = \"a\"\n\nword = \"b\"\n"),
            ("below a header", "[t]\nword = \"a\"\n\tword = \"b\"\n"),
            ("quoted the second time", "word = \"a\"\n\"word\" = \"b\"\n"),
            ("a dotted key", "t.word = \"a\"\nt.word = \"b\"\n"),
            ("dotted once", "t = { word = \"a\" }\nt.note = \"b\"\n"),
            ("dotted first", "t.word = \"a\"\nt = {}\n"),
            (
                "dotted, then a header",
                "t.word = \"a\"\n[t]\nnote = \"b\"\n",
            ),
            (
                "a header, then dotted",
                "[t.in]\nword = \"a\"\n[t]\nin.note = \"b\"\n",
            ),
            ("a header", "[t]\n[n]\n[t]\n"),
            ("a header of a value", "word = \"a\"\n[word]\n"),
            ("an array, then a table", "[[t]]\n[t]\n"),
            ("a list, then an array of tables", "t = []\n[[t]]\n"),
            (
                "an inline table",
                "n.x = {}\nt = { word = \"a\", word = \"b\" }\n",
            ),
            (
                "dotted in an inline table",
                "t = { in.word = \"a\", in.word = \"b\" }\n",
            ),
            (
                "one of an array",
                "t = [\n  {},\n  { word = \"a\", word = \"b\" },\n]\n",
            ),
            ("after CRLF", "word = \"a\"\r\nword = \"b\"\r\n"),
            (
                "after letters beyond ASCII",
                "n = { \"ä\" = {} }\n[t]\nnote = \"ß\"\nnote = \"🙂\"\n",
            ),
            (
                "after a byte order mark",
                "\u{feff}word = \"a\"\nword = \"b\"\n",
            ),
        ],
        &expect![[r#"
            above all tables
              a.toml:3:1: duplicate key `word` in document root
            below a header
              a.toml:3:2: duplicate key `word` in table `t`
            quoted the second time
              a.toml:2:1: duplicate key `word` in document root
            a dotted key
              a.toml:2:1: duplicate key `word` in document root
            dotted once
              a.toml:2:1: dotted key `t` attempted to extend non-table type (inline table)
            dotted first
              a.toml:2:1: duplicate key `t` in document root
            dotted, then a header
              a.toml:2:1: invalid table header: duplicate key `t` in document root
            a header, then dotted
              a.toml:4:1: duplicate key `in`
            a header
              a.toml:3:1: invalid table header: duplicate key `t` in document root
            a header of a value
              a.toml:2:1: invalid table header: duplicate key `word` in document root
            an array, then a table
              a.toml:2:1: invalid table header: duplicate key `t` in document root
            a list, then an array of tables
              a.toml:2:1: invalid table header: duplicate key `t` in document root
            an inline table
              a.toml:2:6: duplicate key `word`
            dotted in an inline table
              a.toml:1:6: duplicate key `word`
            one of an array
              a.toml:3:4: duplicate key `word`
            after CRLF
              a.toml:2:1: duplicate key `word` in document root
            after letters beyond ASCII
              a.toml:4:1: duplicate key `note` in table `t`
            after a byte order mark
              a.toml:2:1: duplicate key `word` in document root
        "#]],
    );
}

#[test]
fn a_text_that_is_not_toml_is_told_where_it_stops() {
    told(
        &[
            ("no value", "word =\n"),
            ("no value after letters beyond ASCII", "n = { \"ä\" = }\n"),
            ("no end of a string", "note = \"x\"\nword = \"a\n"),
            ("no end of a multi-line string", "word = \"\"\"\na\n"),
            ("no end of a header", "[t\nword = \"a\"\n"),
            ("a newline in an inline table", "t = {\n  word = \"a\" }\n"),
            (
                "a bare word after a byte order mark",
                "\u{feff}word = yes\n",
            ),
            ("after CRLF", "note = \"x\"\r\nword = yes\r\n"),
            (
                "two on a line, of which one is secret",
                "note = \"s3cret\" word = \"x\"\n",
            ),
            (
                "a number that is too large",
                "word = 99999999999999999999\n",
            ),
            (
                "an escape that TOML does not have",
                "word = \"s3cret\\e\"\n",
            ),
        ],
        &expect![[r#"
            no value
              a.toml:1:7: invalid string: expected `"`, `'`
            no value after letters beyond ASCII
              a.toml:1:13: invalid string: expected `"`, `'`
            no end of a string
              a.toml:2:10: invalid basic string
            no end of a multi-line string
              a.toml:3:1: invalid multiline basic string
            no end of a header
              a.toml:1:3: invalid table header: expected `.`, `]`
            a newline in an inline table
              a.toml:1:6: invalid inline table: expected `}`
            a bare word after a byte order mark
              a.toml:1:8: invalid string: expected `"`, `'`
            after CRLF
              a.toml:2:8: invalid string: expected `"`, `'`
            two on a line, of which one is secret
              a.toml:1:17: expected newline, `#`
            a number that is too large
              a.toml:1:8: number too large to fit in target type
            an escape that TOML does not have
              a.toml:1:17: invalid escape sequence: expected `b`, `f`, `n`, `r`, `t`, `u`, `U`, `\`, `"`
        "#]],
    );
}

#[test]
fn tables_are_tables() {
    told(
        &[
            ("a word for a table", "t = \"x\"\n"),
            ("a word among tables", "t = [{}, \"x\", { wrod = 1 }]\n"),
            ("a table for a word", "[word]\n"),
            ("tables for a word", "[[t]]\n[[t.word]]\n"),
            ("a dotted key for a word", "[t]\nword.note = \"x\"\n"),
            ("a word for a table of a name", "[n]\none = 1\n[n.two]\n"),
            ("tables for a table of a name", "[[n.one]]\n"),
        ],
        &expect![[r#"
            a word for a table
              a.toml:1:5: `t` must be a table, written [t], found a string
            a word among tables
              a.toml:1:10: each of `t` must be a table, found a string
              a.toml:1:17: unknown field `wrod`, expected one of `in`, `note`, `word`
              tip: did you mean `word`?
            a table for a word
              a.toml:1:2: `word` must be a string in quotes, found a table
            tables for a word
              a.toml:2:5: `word` must be a string in quotes, found a list of tables
            a dotted key for a word
              a.toml:2:1: `word` must be a string in quotes, found a table
            a word for a table of a name
              a.toml:2:7: `n.one` must be a table, written [n.one], found an integer
            tables for a table of a name
              a.toml:1:5: `n.one` must be a table, written [n.one], found a list of tables
        "#]],
    );
}

/// Line, column and message of what `take` finds wrong with a text.
fn taken(text: &str, take: impl FnOnce(&mut Reader<'_>, &mut Section<'_>)) -> String {
    let document = Document::parse("a.toml", text).expect("is TOML");
    let mut reader = Reader::new("a.toml", text);
    let mut top = document.top();
    take(&mut reader, &mut top);
    top.finish(&mut reader);
    let problems = reader.into_problems();
    let lines = problems.iter().map(|problem| format!("{problem}\n"));
    lines.collect()
}

#[test]
fn numbers_flags_and_lists_say_what_they_want() {
    let text = "count = 11\nmany = \"3\"\non = \"yes\"\nwords = [\"a\",\n  7, \"\", 1.5]\nflat = \"x\"\nodd = [\"\", \"b\"]\n[labels]\na.b = 1\nc = \"x\"\n";
    let told = taken(text, |reader, top| {
        assert_eq!(top.number(reader, "count", &(1..=10)), None);
        assert_eq!(top.integer(reader, "many"), None);
        assert_eq!(top.flag(reader, "on"), None);
        assert_eq!(top.texts(reader, "words"), None);
        assert_eq!(top.texts(reader, "flat"), None);
        let filled = |text: &str| match text {
            "" => Err("is empty".to_owned()),
            text => Ok(text.len()),
        };
        assert_eq!(top.list(reader, "odd", filled), None);
        assert_eq!(top.parsed(reader, "absent", filled), None);
        let labels = top.section(reader, "labels").pairs(reader);
        let labels: Vec<_> = labels
            .iter()
            .map(|(key, one)| (key.value, one.value))
            .collect();
        assert_eq!(labels, [("c", "x")]);
    });
    expect![[r#"
        a.toml:1:9: `11` is not between 1 and 10
        a.toml:2:8: `many` must be a whole number, found a string
        a.toml:3:6: `on` must be true or false, found a string
        a.toml:5:3: each of `words` must be a string in quotes, found an integer
        a.toml:5:10: each of `words` must be a string in quotes, found a float
        a.toml:6:8: `flat` must be a list of strings in brackets, found a string
        a.toml:7:8: `` is empty
        a.toml:9:1: `a` must be a string in quotes, found a table
    "#]]
    .assert_eq(&told);
    assert_eq!(
        taken("count = 10\nbig = -9223372036854775808\n", |reader, top| {
            let count = top.number(reader, "count", &(1..=10)).expect("is within");
            assert_eq!((count.value, count.at), (10, 8..10));
            let big = top.integer(reader, "big").expect("is whole");
            assert_eq!(big.value, i64::MIN);
        }),
        ""
    );
}

#[test]
fn a_refused_key_is_told_and_not_recommended() {
    let told = taken("gone = 1\ngon = 2\n", |reader, top| {
        top.refuse(
            reader,
            [("gone", "take it out"), ("away", "x")],
            "is no more",
        );
    });
    expect![[r#"
        a.toml:1:1: `gone` is no more
          tip: take it out
        a.toml:2:1: unknown field `gon`, expected none
    "#]]
    .assert_eq(&told);
}

#[test]
fn words_are_one_of_a_few() {
    let told = taken(
        "a = \"serve\"\nb = \"\\u001b[2J\"\nc = \"server\"\n",
        |reader, top| {
            let words = [("server", 1), ("proxy", 2)];
            for (key, want) in [("a", None), ("b", None), ("c", Some(1))] {
                let text = top.text(reader, key).expect("is a text");
                assert_eq!(reader.word(&text, "mode", &words), want);
            }
        },
    );
    expect![[r#"
        a.toml:1:5: no mode is called `serve`, expected one of `server`, `proxy`
          tip: did you mean `server`?
        a.toml:2:5: no mode is called `\u{1b}[2J`, expected one of `server`, `proxy`
    "#]]
    .assert_eq(&told);
}

#[test]
fn values_of_any_kind_have_their_places() {
    fn walk(reader: &Reader<'_>, node: &Placed<Node<'_>>, told: &mut String) {
        let Problem { line, column, .. } = reader.place(&node.at);
        let kind = match &node.value {
            Node::Text(text) => format!("{text:?}"),
            Node::List(_) => "list".to_owned(),
            Node::Table(_) => "table".to_owned(),
            Node::Other => "other".to_owned(),
        };
        told.push_str(&format!("{line}:{column} {kind}\n"));
        match &node.value {
            Node::List(all) => all.iter().for_each(|one| walk(reader, one, told)),
            Node::Table(inner) => fields(reader, inner, told),
            Node::Text(_) | Node::Other => {}
        }
    }
    fn fields(reader: &Reader<'_>, section: &Section<'_>, told: &mut String) {
        for (key, node) in section.nodes() {
            told.push_str(&format!("{} ", key.value));
            walk(reader, &node, told);
        }
    }
    let text = "a = [1, \"x\", { b.c = \"y\" }]\nd.e = 1.5\n[[f]]\n[[f]]\ng = [[\"z\"]]\n";
    let document = Document::parse("a.toml", text).expect("is TOML");
    let reader = Reader::new("a.toml", text);
    let mut told = String::new();
    fields(&reader, &document.top(), &mut told);
    expect![[r#"
        a 1:5 list
        1:6 other
        1:9 "x"
        1:14 table
        b 1:16 table
        c 1:22 "y"
        d 2:1 table
        e 2:7 other
        f 3:3 list
        3:1 table
        4:1 table
        g 5:5 list
        5:6 list
        5:7 "z"
    "#]]
    .assert_eq(&told);
}
