//! Whom the page refuses.

use stent::model::ExecutionState;

use super::served::Served;
use crate::house::{House, Where, on_both, stent};

on_both! {
    strangers_and_other_sites_are_refused,
    beyond_this_machine_a_token_is_needed,
    a_page_that_only_reads_does_nothing,
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn strangers_and_other_sites_are_refused(place: Where) {
    let house = House::new(place);
    let served = Served::new(&house, &["--host", "stent.example"]);
    for host in ["evil.example", "evil.example:80", "localhost.evil", "stent.example.evil"] {
        let answer = served.ask("GET", "/", &[("Host", host)], "");
        assert!(answer.status == 421 && !answer.body.contains("<main"), "{host}: {answer:?}");
    }
    for host in ["localhost:1", "127.0.0.1", "[::1]:7878", "stent.example", "STENT.example:443"] {
        served.ask("GET", "/", &[("Host", host)], "").ok();
    }
    let secret = served.secret();
    let body = format!("csrf={secret}&function=f&confirm=yes");
    let json = r#"{"function":"f"}"#;
    let own = format!("http://{}", served.address);
    let (own, body) = (own.as_str(), body.as_str());
    let tries = [
        ("/dispatch", "function=f&confirm=yes", vec![("Origin", own)]),
        ("/dispatch", "csrf=0123&function=f&confirm=yes", vec![("Origin", own)]),
        ("/dispatch", body, vec![("Origin", "http://evil.example")]),
        ("/dispatch", body, vec![("Origin", "null")]),
        ("/dispatch", body, vec![("Origin", "http://127.0.0.1:1")]),
        ("/dispatch", body, vec![("Sec-Fetch-Site", "cross-site")]),
        ("/api/dispatch", json, vec![]),
        ("/api/dispatch", json, vec![("X-Stent-CSRF", "0123")]),
        ("/api/dispatch", json, vec![("X-Stent-CSRF", secret.as_str()), ("Origin", "http://evil.example")]),
    ];
    for (path, body, headers) in &tries {
        let answer = served.ask("POST", path, headers, body);
        assert_eq!(answer.status, 403, "{path} {headers:?}: {answer:?}");
    }
    assert_eq!(house.count(ExecutionState::Pending), 0);
    let proxied = [("Host", "10.0.0.1"), ("Origin", "https://stent.example")];
    assert_eq!(served.ask("POST", "/dispatch", &proxied, body).status, 303);
    assert_eq!(house.count(ExecutionState::Pending), 1);
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH"] {
        assert_eq!(served.ask(method, "/executions", &[], "").status, 405, "{method}");
    }
    // What every answer says of itself.
    for path in ["/", "/api/overview", "/nothing", "/api/nothing", "/api/openapi.json"] {
        let answer = served.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("referrer-policy", "same-origin"), ("x-frame-options", "deny")]
        {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
    }
    // No script and no style stands in a page.
    let page = served.get("/").ok().body;
    assert!(!page.contains(" style=\"") && !page.contains(" onclick") && !page.contains("<style"), "{page}");
    assert!(page.split("<script").skip(1).all(|script| script.split('>').next().unwrap().contains("src=")), "{page}");
}

fn beyond_this_machine_a_token_is_needed(place: Where) {
    let house = House::new(place);
    let mut open = stent();
    open.env_remove("STENT_UI_TOKEN").args(["--db", &house.url, "ui", "--listen", "0.0.0.0:0"]);
    let said = crate::house::Said::from(open.output().unwrap());
    assert!(said.code == 2 && said.err.contains("--token-file"), "{said:?}");
    let short = crate::house::Said::from(open.env("STENT_UI_TOKEN", "short").output().unwrap());
    assert!(short.code == 2 && !short.err.contains("short\n"), "{short:?}");

    let served = Served::with(&house, &[], &[("STENT_UI_TOKEN", TOKEN)]);
    let answer = served.get("/executions?state=failed");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/login?to=%2fexecutions%3fstate%3dfailed")));
    for path in ["/api/overview", "/events/", "/api/session"] {
        let answer = served.get(path);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("bearer")), "{path}");
    }
    let bearer = format!("Bearer {TOKEN}");
    let bearer = [("Authorization", bearer.as_str())];
    served.ask("GET", "/api/overview", &bearer, "").ok();
    assert_eq!(
        served.ask("POST", "/api/dispatch", &bearer, r#"{"function":"f"}"#).ok().json()["ids"][0]
            .as_str()
            .map(str::len),
        Some(36)
    );
    assert_eq!(served.audit()[0]["by"], "token");

    let origin = format!("http://{}", served.address);
    let login = |token: &str, origin: &str| {
        served.ask("POST", "/login", &[("Origin", origin)], &format!("token={token}&to=%2Fqueues"))
    };
    assert_eq!(login("wrong", &origin).status, 401);
    assert_eq!(login(TOKEN, "http://evil.example").status, 403);
    let answer = login(TOKEN, &origin);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/queues")));
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("httponly") && cookie.contains("samesite=strict") && !cookie.contains(TOKEN), "{cookie}");
    let cookie = [("Cookie", cookie.split(';').next().unwrap())];
    let page = served.ask("GET", "/", &cookie, "").ok().body;
    assert!(page.contains("Log out"));
    // Neither the log nor a page has the token.
    let lines = served.audit();
    assert!(!page.contains(TOKEN) && !format!("{lines:?}").contains(TOKEN));
    assert_eq!((&lines[1]["action"], &lines[1]["outcome"]), (&"login".into(), &"a wrong token".into()));
    // A cookie alone changes nothing.
    assert_eq!(served.ask("POST", "/logout", &cookie, "csrf=0123").status, 403);
    assert_eq!(served.ask("POST", "/api/dispatch", &cookie, r#"{"function":"f"}"#).status, 403);
    let style = page.split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    served.get(style).ok();
}

fn a_page_that_only_reads_does_nothing(place: Where) {
    let house = House::new(place);
    house.exhibit();
    let served = Served::new(&house, &["--read-only"]);
    let one = "/executions/019ac89a-f000-7000-8000-000000000003";
    for page in ["/", one, "/dead-letters", "/functions"] {
        let body = served.get(page).ok().body;
        for word in ["/dispatch", "/cancel\"", "/signal\"", "/discard", "/replay", "type=\"checkbox\""] {
            assert!(!body.contains(word), "{page} has {word}");
        }
    }
    assert_eq!(served.get("/api/session").ok().json()["read_only"], true);
    for path in ["/dispatch", &format!("{one}/cancel")] {
        assert_eq!(served.get(path).status, 403, "{path}");
    }
    assert_eq!(served.form(&format!("{one}/cancel"), "confirm=yes").status, 403);
    assert_eq!(served.post(&format!("/api{one}/cancel"), "").status, 403);
    assert_eq!(served.post("/api/dead-letters/discard", r#"{"all":true}"#).status, 403);
    assert_eq!((house.count(ExecutionState::Running), served.audit().len()), (1, 0));
}
