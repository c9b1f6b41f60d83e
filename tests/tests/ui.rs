//! `slhf-lab ui` by requests: what every page says, and who is let in. In a browser: browser.rs.

use slhf_tests::{Lab, PageServer};

/// Three actions, two cells, two seeds; texts that would be markup.
const EXPERIMENT: &str = r#"kind = "game"
name = "rings <b>"
question = "Who <img src=x onerror=alert(1)> wins?"
seeds = [1, 2]
[game]
actions = ["rock", "paper", "<script>alert(1)</script>"]
preferences = [[0.5, 0.2, 0.9], [0.8, 0.5, 0.3], [0.1, 0.7, 0.5]]
[method]
steps = 30
[device]
name = "cpu"
threads = 1
[evaluation]
every = 10
[[ablation]]
name = "method"
values = [{ label = "slhf", method = { name = "stackelberg-gda" } }, { label = "nash", method = { name = "nash-md" } }]
"#;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("rings.toml", EXPERIMENT);
    let _ = lab.run(&["run", "rings.toml"]).success();
    lab
}

#[test]
fn every_view_shows_the_record_and_no_markup_of_strangers() {
    let lab = lab();
    let server = PageServer::start(&lab, &["--port", "0"]);
    for (path, parts) in [
        ("/", &["4 finished", "wins?"][..]),
        ("/experiment/rings%20%3Cb%3E", &["<strong>Asked:</strong>", "SLHF Leader, exact", "<svg ", "Learning curves"]),
        ("/cells/rings%20%3Cb%3E", &["stackelberg_gap", "aria-sort", "slhf"]),
        ("/cells/rings%20%3Cb%3E?metrics=tv_&sort=-tv_leader&only=changed", &["cells"]),
        ("/cells/rings%20%3Cb%3E?pin=nash", &["class=\"pinned\"", "Unpin nash"]),
        ("/pivot/rings%20%3Cb%3E?metric=value%2Fcommitted", &["value/committed", "scope=\"row\">slhf"]),
        ("/parallel/rings%20%3Cb%3E?metric=value%2Fcommitted", &["highest quarter of", "data-name"]),
        ("/runs?sort=-seed&q=nash", &["2 runs", "aria-sort=\"descending\""]),
        ("/run/1", &["<strong>Found:</strong>", "Provenance"]),
        ("/run/latest", &["Run "]),
        ("/curves", &["duality_gap", "<svg "]),
        ("/curves?key=value%2Fcommitted&x=step&smooth=0.9&y=log&cell=slhf", &["Smoothed"]),
        ("/samples?run=1", &["No completion of this run is recorded"]),
        ("/audits", &["No judge was audited yet"]),
    ] {
        let reply = server.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        for part in parts {
            assert!(reply.body.contains(part), "{path}: {part:?} is missing in {}", reply.body);
        }
        let (_, main) = reply.body.split_once("<main").expect("a page");
        assert!(!main.contains("<img") && !main.contains("<script") && !main.contains("<b>"), "{path}: {main}");
    }
    for (path, status) in [
        ("/nothing", 404),
        ("/run/99", 404),
        ("/experiment/nobody", 404),
        ("/curves?x=money", 400),
        ("/curves?smooth=2", 400),
        ("/curves?y=bent", 400),
        ("/curves?from=here", 400),
        ("/samples", 404),
    ] {
        let reply = server.get(path);
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.body.contains("<main") && reply.body.contains("To the experiments"), "{path}: {}", reply.body);
    }
}

#[test]
fn cells_without_a_number_stand_last_in_either_order() {
    let lab = lab();
    let server = PageServer::start(&lab, &["--port", "0"]);
    for sort in ["stackelberg_gap", "-stackelberg_gap"] {
        let page = server.get(&format!("/cells/rings%20%3Cb%3E?metrics=stackelberg_gap&sort={sort}")).body;
        let rows = page.split_once("<tbody").expect("a table").1;
        let place = |cell: &str| rows.find(&format!("Pin {cell}")).expect("a row");
        assert!(place("slhf") < place("nash") && rows.contains("–"), "{sort}: {rows}");
    }
    assert!(server.get("/cells/rings%20%3Cb%3E?q=nash").body.contains("1 cell;"));
}

#[test]
fn a_record_that_is_only_read_has_no_forms() {
    let lab = lab();
    let _ = lab.run(&["db", "export", "rings <b>", "--to", "kept.db.gz"]).success();
    let server = PageServer::start(&lab, &["--port", "0", "--db", "kept.db.gz"]);
    assert!(!server.get("/run/1").body.contains("method=\"post\""));
    let own = format!("http://{}", server.host());
    let reply = server.ask("POST", "/run/1", &[("Host", server.host()), ("Origin", &own)], "add=x");
    assert!(reply.status == 400 && reply.body.contains("Nothing was written"), "{} {}", reply.status, reply.body);
    assert!(reply.body.contains("only read here"), "{}", reply.body);
}

#[test]
fn tags_and_notes_are_written_and_nothing_else() {
    let lab = lab();
    let server = PageServer::start(&lab, &["--port", "0"]);
    let (host, own) = (server.host(), format!("http://{}", server.host()));
    let form = |path: &str, body: &str| server.ask("POST", path, &[("Host", host), ("Origin", &own)], body);
    let reply = form("/run/2", "add=paper-v2");
    assert!(reply.status == 303 && reply.head.contains("location: /run/2"), "{}", reply.head);
    assert_eq!(form("/run/2", "note=Seen+%3Cb%3E%0D%0Atwice").status, 303);
    let page = server.get("/run/2").body;
    assert!(page.contains("/runs?tag=paper-v2") && page.contains("Seen &lt;b&gt;"), "{page}");
    assert!(server.get("/runs?tag=paper-v2").body.contains("<p>1 run."));
    let shown = lab.run(&["show", "2"]).success();
    assert!(shown.contains("paper-v2") && shown.contains("twice"), "{shown}");
    assert_eq!(form("/run/2", "remove=paper-v2").status, 303);
    assert!(!server.get("/run/2").body.contains("/runs?tag=paper-v2"));
    for (path, body, status, part) in [
        ("/run/2", "add=two+words", 400, "is no tag"),
        ("/run/2", "note=+", 400, "the note is empty"),
        ("/run/2", "delete=yes", 400, "one of add, remove and note"),
        ("/run/99", "add=x", 404, "99"),
        ("/runs", "add=x", 404, "nothing is written"),
        ("/run/2", &format!("note={}", "x".repeat(70_000)), 413, "64 KiB"),
    ] {
        let reply = form(path, body);
        assert!(reply.status == status && reply.body.contains(part), "{path}: {} {}", reply.status, reply.body);
    }
    assert_eq!(server.ask("POST", "/run/2", &[("Host", host)], "add=x").status, 403);
}

#[test]
fn a_browser_may_load_nothing_but_our_own() {
    let lab = lab();
    let server = PageServer::start(&lab, &["--port", "0"]);
    for path in ["/", "/ui.js", "/style.css", "/nothing"] {
        let reply = server.get(path);
        for part in [
            "content-security-policy: default-src 'none'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "cross-origin-resource-policy: same-origin",
            "referrer-policy: same-origin",
        ] {
            assert!(reply.head.contains(part), "{path}: {part} is missing in {}", reply.head);
        }
        assert!(!reply.head.contains("access-control-allow"), "{path}: {}", reply.head);
    }
}

#[test]
fn other_sites_and_names_are_refused() {
    let lab = lab();
    let server = PageServer::start(&lab, &["--port", "0"]);
    let host = server.host();
    let own = format!("http://{host}");
    for (method, headers, status) in [
        ("GET", vec![("Host", "evil.example")], 421),
        ("GET", vec![("Host", host), ("Origin", "http://evil.example")], 403),
        ("GET", vec![("Host", host), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")], 403),
        ("POST", vec![("Host", host)], 403),
        ("POST", vec![("Host", host), ("Origin", "null")], 403),
        ("POST", vec![("Host", host), ("Origin", own.as_str())], 404),
        ("DELETE", vec![("Host", host), ("Origin", own.as_str())], 405),
    ] {
        let reply = server.ask(method, "/nothing", &headers, "");
        assert_eq!(reply.status, status, "{method} {headers:?}: {}", reply.body);
    }
    assert!(server.first_event("/events").len() > 10);
}

#[test]
fn elsewhere_a_token_is_asked_for() {
    let lab = lab();
    let server = PageServer::start(&lab, &["--listen", "0.0.0.0:0"]);
    let (address, token) = server.url.split_once("/#").expect("an address with a token");
    let host = address.strip_prefix("http://").expect("an address").to_owned();
    let origin = format!("http://{host}");
    let get = |cookie: &str| server.ask("GET", "/", &[("Host", host.as_str()), ("Cookie", cookie)], "");
    let closed = get("a=b");
    assert_eq!(closed.status, 401);
    assert!(closed.body.contains("holds the token") && !closed.body.contains("rings"), "{}", closed.body);
    assert_eq!(server.ask("GET", "/events", &[("Host", host.as_str())], "").status, 401);
    let trade =
        |token: &str| server.ask("POST", "/session", &[("Host", host.as_str()), ("Origin", origin.as_str())], token);
    assert_eq!(trade("another").status, 401);
    let reply = trade(token);
    let cookie = reply.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie").to_owned();
    assert!(reply.status == 200 && cookie.contains("httponly") && cookie.contains("samesite=strict"), "{cookie}");
    let cookie = cookie.split(';').next().expect("a pair");
    assert_eq!(get(cookie).status, 200);
    assert_eq!(get(&cookie.replace('=', "=0")).status, 401);
}

#[test]
fn what_cannot_be_served_is_said() {
    let lab = lab();
    let refused = lab.run(&["ui", "--db", "nothing.db"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    let server = PageServer::start(&lab, &["--port", "0"]);
    let port = server.host().rsplit_once(':').expect("a port").1;
    let refused = lab.run(&["ui", "--port", port]);
    assert!(refused.code == Some(1) && refused.stderr.contains("choose another port with --port"), "{refused}");
}
