//! Who may ask. Pure but for the secret of this process, which is made by chance.
//!
//! * A *host* that is no name of ours is refused: another site's name that leads here (DNS rebinding).
//! * With a *token*, who asks shows it: a program as `Authorization: Bearer`, a browser as the cookie that it got for it.
//! * What changes something comes from a page of ours (*origin*), and has the secret of its forms; a program that shows
//!   the token needs neither, since no browser sends that of itself.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

/// Its value follows from the token and this process's secret.
const COOKIE: &str = "stent_ui";

/// A program that has no token sends the secret of forms in this.
const SECRET: &str = "x-stent-csrf";

#[derive(Debug)]
pub struct Guard {
    token: Option<[u8; 32]>,
    /// Lower case.
    hosts: Vec<String>,
    session: String,
    form: String,
    path: String,
}

/// What the head of a request has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// No token is needed here.
    Local,
    Bearer,
    Cookie,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    Host,
    Origin,
    Secret,
}

impl Guard {
    pub fn new(token: Option<&str>, hosts: &[String], base: &str) -> Self {
        let secret: [u8; 32] = rand::random();
        let made = |what: &str| {
            let mut hash = Sha256::new();
            hash.update(secret);
            hash.update(what);
            hash.update(token.unwrap_or_default());
            hex(&hash.finalize())
        };
        Self {
            token: token.map(digest),
            hosts: hosts.iter().map(|host| name_of(host).to_ascii_lowercase()).collect(),
            session: made("session"),
            form: made("form"),
            path: if base.is_empty() { "/".to_owned() } else { base.to_owned() },
        }
    }

    /// The secret that each form has in it.
    pub fn form_secret(&self) -> &str {
        &self.form
    }

    pub fn needs_token(&self) -> bool {
        self.token.is_some()
    }

    pub fn is_token(&self, given: &str) -> bool {
        self.token.is_some_and(|token| token == digest(given.trim()))
    }

    pub fn host(&self, headers: &HeaderMap) -> Result<(), No> {
        let host = text(headers, header::HOST).ok_or(No::Host)?;
        if self.is_ours(name_of(host)) { Ok(()) } else { Err(No::Host) }
    }

    /// An address is no name that somebody else could point here.
    fn is_ours(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || name.ends_with(".localhost") || bare.parse::<IpAddr>().is_ok() || self.is_named(&name)
    }

    fn is_named(&self, name: &str) -> bool {
        self.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
    }

    pub fn shown(&self, headers: &HeaderMap) -> Shown {
        let bearer = text(headers, header::AUTHORIZATION).and_then(|said| {
            let (scheme, token) = said.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token)
        });
        if bearer.is_some_and(|token| self.is_token(token)) {
            return Shown::Bearer;
        }
        if !self.needs_token() {
            return Shown::Local;
        }
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let is_ours = |cookie: &str| {
            let (name, value) = cookie.trim().split_once('=').unwrap_or_default();
            name == COOKIE && digest(value) == digest(&self.session)
        };
        if cookies.flat_map(|line| line.split(';')).any(is_ours) { Shown::Cookie } else { Shown::Nothing }
    }

    /// May a request with this head change something? `secret`: that of its form, or else its header's.
    pub fn change(&self, headers: &HeaderMap, shown: Shown, secret: Option<&str>) -> Result<(), No> {
        if shown == Shown::Bearer {
            return Ok(());
        }
        self.origin(headers)?;
        let secret = secret.or_else(|| headers.get(SECRET)?.to_str().ok());
        match secret {
            Some(secret) if digest(secret) == digest(&self.form) => Ok(()),
            _ => Err(No::Secret),
        }
    }

    pub fn origin(&self, headers: &HeaderMap) -> Result<(), No> {
        let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
        let Some(origin) = headers.get(header::ORIGIN) else {
            // A program, or a browser that says it otherwise.
            return if matches!(site, None | Some("same-origin" | "none")) { Ok(()) } else { Err(No::Origin) };
        };
        let origin = origin.to_str().map_err(|_| No::Origin)?;
        let place = origin.split_once("://").map(|(_, place)| place).ok_or(No::Origin)?;
        let is_here = text(headers, header::HOST).is_some_and(|host| host.eq_ignore_ascii_case(place));
        // A proxy may have told us another host than the browser sees.
        if is_here || self.is_named(name_of(place)) { Ok(()) } else { Err(No::Origin) }
    }

    /// The cookie for a browser that has shown the token. `secure`: it came by HTTPS, as a proxy says.
    pub fn cookie(&self, secure: bool) -> String {
        self.set(&self.session, "", secure)
    }

    /// Takes it back.
    pub fn no_cookie(&self) -> String {
        self.set("", "; Max-Age=0", false)
    }

    fn set(&self, value: &str, age: &str, secure: bool) -> String {
        let secure = if secure { "; Secure" } else { "" };
        format!("{COOKIE}={value}; Path={}; HttpOnly; SameSite=Strict{age}{secure}", self.path)
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Without the port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Compared instead of the words, so that the time of it tells nothing of them.
fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn head(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn only_names_of_ours_lead_here() {
        let guard = Guard::new(None, &["Stent.Example:8443".to_owned()], "");
        for host in [
            "localhost",
            "LOCALHOST:7878",
            "a.localhost:1",
            "127.0.0.1:7878",
            "[::1]:7878",
            "10.0.0.7",
            "stent.example",
        ] {
            assert_eq!(guard.host(&head(&[("host", host)])), Ok(()), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "stent.example.evil", "", "127.0.0.1.evil", "evil:80:90"]
        {
            assert_eq!(guard.host(&head(&[("host", host)])), Err(No::Host), "{host}");
        }
        assert_eq!(guard.host(&head(&[])), Err(No::Host));
    }

    #[test]
    fn a_change_comes_from_a_page_of_ours() {
        let guard = Guard::new(None, &["stent.example".to_owned()], "");
        let secret = Some(guard.form_secret());
        let here = ("host", "localhost:7878");
        let may = |more: &[(&str, &str)], secret| guard.change(&head(&[&[here], more].concat()), Shown::Local, secret);
        assert_eq!(may(&[("origin", "http://localhost:7878")], secret), Ok(()));
        assert_eq!(may(&[("origin", "https://stent.example")], secret), Ok(()));
        assert_eq!(may(&[], secret), Ok(()));
        assert_eq!(may(&[("x-stent-csrf", guard.form_secret())], None), Ok(()));
        assert_eq!(may(&[("origin", "http://localhost:7878")], None), Err(No::Secret));
        assert_eq!(may(&[("origin", "http://localhost:7878")], Some("guessed")), Err(No::Secret));
        for origin in ["http://localhost:1", "http://evil.example", "null", "https://stent.example.evil"] {
            assert_eq!(may(&[("origin", origin)], secret), Err(No::Origin), "{origin}");
        }
        assert_eq!(may(&[("sec-fetch-site", "cross-site")], secret), Err(No::Origin));
    }

    #[test]
    fn a_token_is_shown_by_header_or_cookie() {
        let token = "0123456789abcdef";
        let guard = Guard::new(Some(token), &[], "/stent");
        let shown = |name: &str, value: &str| guard.shown(&head(&[(name, value)]));
        assert_eq!(shown("authorization", "Bearer 0123456789abcdef"), Shown::Bearer);
        assert_eq!(shown("authorization", "Bearer 0123456789abcdeX"), Shown::Nothing);
        assert_eq!(shown("authorization", "Basic 0123456789abcdef"), Shown::Nothing);
        let set = guard.cookie(true);
        assert!(set.ends_with("; Path=/stent; HttpOnly; SameSite=Strict; Secure") && !set.contains(token), "{set}");
        let cookie = set.split(';').next().unwrap();
        assert_eq!(shown("cookie", &format!("a=b; {cookie}")), Shown::Cookie);
        assert_eq!(shown("cookie", "stent_ui="), Shown::Nothing);
        let another = Guard::new(Some(token), &[], "");
        assert_eq!(another.shown(&head(&[("cookie", cookie)])), Shown::Nothing, "of another process");
        assert_eq!(guard.change(&head(&[("origin", "http://evil")]), Shown::Bearer, None), Ok(()));
        assert_eq!(Guard::new(None, &[], "").shown(&head(&[])), Shown::Local);
    }
}
