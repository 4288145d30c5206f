//! Connections, and the head of each request: whether it may come in, and what every answer says of itself.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tower_service::Service as _;

use super::answer::{redirect, refused, why};
use super::app::App;
use super::audit::Who;
use super::fields::link;
use super::gate::{Gate, Remote};
use super::guard::{No, Shown};
use super::refusal::Refusal;

/// Connections at once; more wait to be taken.
const CONNECTIONS: usize = 256;

/// Who connects has so long to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// After an accept that failed, since the next one may fail as well.
const PAUSE: Duration = Duration::from_millis(100);

/// Nothing but our own files, and no script or style that stands in a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const SAID: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // With none at all, browsers would not say where a form comes from.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Until the program ends.
pub async fn serve(gate: &Gate, router: Router, base: String) -> Infallible {
    let (base, places) = (Arc::<str>::from(base), Arc::new(Semaphore::new(CONNECTIONS)));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let Ok((stream, remote)) = gate.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (router, base) = (router.clone(), Arc::clone(&base));
        tokio::spawn(async move {
            let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let mut request = request.map(Body::new);
                strip(request.uri_mut(), &base);
                request.extensions_mut().insert::<Remote>(remote.clone());
                router.clone().call(request)
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            // Who asked has gone; there is nobody to be told.
            let _gone = http.serve_connection(TokioIo::new(stream), answer).await;
            drop(place);
        });
    }
}

/// A proxy may leave its path in the address, or take it away.
fn strip(uri: &mut Uri, base: &str) {
    let Some(rest) = uri.path_and_query().map(PathAndQuery::as_str).and_then(|path| path.strip_prefix(base)) else {
        return;
    };
    let rest = match rest.chars().next() {
        Some('/') => rest.to_owned(),
        None | Some('?') => format!("/{rest}"),
        Some(_) => return,
    };
    if let Ok(stripped) = rest.parse() {
        *uri = stripped;
    }
}

pub async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let mut response = match judge(&app, &mut request) {
        Ok(()) => next.run(request).await,
        Err(response) => *response,
    };
    let headers = response.headers_mut();
    for (name, value) in SAID {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Is it for programs?
fn is_api(path: &str) -> bool {
    ["/api", "/events"]
        .iter()
        .any(|place| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn judge(app: &App, request: &mut Request) -> Result<(), Box<Response>> {
    let path = request.uri().path().to_owned();
    let is_api = is_api(&path);
    let no = |refusal: Refusal| Box::new(refused(app, &path, is_api, &refusal));
    let headers = request.headers();
    if app.guard.host(headers).is_err() {
        // Not a page: its links would lead to that name.
        let told = "This name does not lead here. stent ui --host NAME allows it.\n";
        return Err(Box::new((StatusCode::MISDIRECTED_REQUEST, told).into_response()));
    }
    let shown = app.guard.shown(headers);
    let is_open = path.starts_with("/assets/") || path == "/login";
    if shown == Shown::Nothing && !is_open {
        if is_api || request.method() != Method::GET {
            let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "A token is needed.")
                .hint("A program sends it as Authorization: Bearer …; a browser logs in first.");
            let mut response = no(refusal);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return Err(response);
        }
        let to = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let login = link("/login", [("to", Some(to.into()))]);
        return Err(Box::new(redirect(app, &login)));
    }
    if request.method() == Method::POST {
        let is_session = path == "/login" || path == "/logout";
        if !app.acts && !is_session {
            return Err(no(Refusal::forbidden("This page only reads.").hint("It was started with --read-only.")));
        }
        // The secret of a form is in its body, which is looked at where it is read.
        let judged = if is_api { app.guard.change(headers, shown, None) } else { origin(app, headers, shown) };
        judged.map_err(|found| no(why(found)))?;
    }
    let who = who(request, shown);
    request.extensions_mut().insert(who);
    request.extensions_mut().insert(shown);
    Ok(())
}

fn origin(app: &App, headers: &HeaderMap, shown: Shown) -> Result<(), No> {
    if shown == Shown::Bearer { Ok(()) } else { app.guard.origin(headers) }
}

fn who(request: &Request, shown: Shown) -> Who {
    let remote = request.extensions().get::<Remote>().cloned().unwrap_or_default();
    let forwarded = request.headers().get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let by = if matches!(shown, Shown::Local | Shown::Nothing) { "local" } else { "token" };
    Who { remote, forwarded_for: forwarded.map(|text| crate::words::cut(text, 100)), by }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_taken_off_once_if_it_is_there() {
        let stripped = |path: &str, base: &str| {
            let mut uri: Uri = path.parse().unwrap();
            strip(&mut uri, base);
            uri.to_string()
        };
        for (path, told) in [
            ("/stent", "/"),
            ("/stent?a=b", "/?a=b"),
            ("/stent/x?y", "/x?y"),
            ("/stentor/x", "/stentor/x"),
            ("/x", "/x"),
        ] {
            assert_eq!(stripped(path, "/stent"), told);
        }
        assert_eq!(stripped("/x", ""), "/x");
    }
}
