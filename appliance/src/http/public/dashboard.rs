//! `/`: the machines on one page, for people. Reads only, has no scripts, escapes everything.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use netboot::base::timestamp::Timestamp;
use netboot::machine::Machine;

use super::api::PublicApi;
use crate::base::clock;

pub(super) async fn page(State(api): State<Arc<PublicApi>>) -> Response {
    let state = api.store.state();
    let html = render(&mut state.machines.values(), clock::now());
    // Text that slips through the escaping still cannot run or load anything.
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(html)).into_response()
}

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"5\">
<meta name=\"viewport\" content=\"width=device-width\"><title>machines</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem; color-scheme: light dark }
table { border-collapse: collapse } th, td { text-align: left; padding: .2rem 1.2rem .2rem 0 }
td.mac { font-family: ui-monospace, monospace }
</style></head><body><h1>Machines</h1>
";

fn render(machines: &mut dyn Iterator<Item = &Machine>, now: Timestamp) -> String {
    let mut html = HEAD.to_owned();
    let mut rows = String::new();
    for machine in machines {
        let name = machine.name.as_ref().map_or("", |n| n.as_str());
        let profile = machine.profile.as_ref().map_or("", |p| p.as_str());
        // Writing to a String does not fail.
        let _ = writeln!(
            rows,
            "<tr><td>{}</td><td class=\"mac\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(name),
            escape(&machine.id.to_string()),
            escape(&machine.state.to_string()),
            escape(&machine.since.to_string()),
            escape(profile),
        );
    }
    if rows.is_empty() {
        html.push_str("<p>No machine has asked for something to boot yet.</p>\n");
    } else {
        html.push_str(
            "<table><tr><th>name</th><th>MAC</th><th>state</th><th>since</th><th>profile</th></tr>\n",
        );
        html.push_str(&rows);
        html.push_str("</table>\n");
    }
    let _ = writeln!(
        html,
        "<p><small>{}</small></p></body></html>",
        escape(&now.to_string())
    );
    html
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_cell() {
        let hostile = "<script>alert('x')</script>&\"";
        let safe = escape(hostile);
        assert!(!safe.contains(['<', '>', '"', '\'']), "{safe}");
        assert_eq!(escape("node1"), "node1");
    }

    #[test]
    fn an_empty_house_says_so() {
        let html = render(&mut std::iter::empty(), Timestamp::from_millis(0));
        assert!(html.contains("No machine has asked"), "{html}");
        assert!(!html.contains("<table"), "{html}");
    }
}
