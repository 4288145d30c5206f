//! Browsers show the token once, and get a cookie for it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use tokio::sync::Mutex;

use super::answer::{redirect, refused, why};
use super::app::App;
use super::audit::Who;
use super::fields::Fields;
use super::guard::Shown;
use super::view::{self, Ctx};

/// A wrong token costs so long, one after the other.
const PENANCE: Duration = Duration::from_millis(400);
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// An address of ours, whatever was sent.
fn place(to: Option<&str>) -> &str {
    to.filter(|to| to.starts_with('/') && !to.starts_with("//") && !to.contains(['\\', '\r', '\n'])).unwrap_or("/")
}

pub async fn form(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    Html(view::bare(&Ctx::new(&app, place(fields.one("to"))), false).0).into_response()
}

pub async fn login(
    State(app): State<Arc<App>>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fields = Fields::parse(&body);
    let to = place(fields.one("to"));
    if !fields.one("token").is_some_and(|token| app.guard.is_token(token)) {
        let _one = ONE_AT_A_TIME.lock().await;
        tokio::time::sleep(PENANCE).await;
        app.audit.write(&who, "login", "the page", &[], "a wrong token");
        return (StatusCode::UNAUTHORIZED, Html(view::bare(&Ctx::new(&app, to), true).0)).into_response();
    }
    let secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    with_cookie(redirect(&app, to), &app.guard.cookie(secure))
}

pub async fn logout(
    State(app): State<Arc<App>>,
    Extension(shown): Extension<Shown>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match app.guard.change(&headers, shown, Fields::parse(&body).one("csrf")) {
        Ok(()) => with_cookie(redirect(&app, "/login"), &app.guard.no_cookie()),
        Err(no) => refused(&app, "/logout", false, &why(no)),
    }
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn it_leads_to_no_other_site() {
        for to in ["//evil", "https://evil", "/\\evil", "x", "", "/a\r\nb"] {
            assert_eq!(place(Some(to)), "/");
        }
        assert_eq!(place(Some("/executions?state=failed")), "/executions?state=failed");
    }
}
