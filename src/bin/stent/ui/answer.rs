//! Answers of many kinds of requests.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use stent::codec;

use super::app::App;
use super::guard::No;
use super::refusal::Refusal;
use super::view::{self, Ctx};

pub fn json<T: serde::Serialize>(status: StatusCode, value: &T) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], codec::to_json(value)).into_response()
}

pub fn refused(app: &App, path: &str, is_api: bool, refusal: &Refusal) -> Response {
    if is_api {
        return json(refusal.status, &refusal.view());
    }
    (refusal.status, Html(view::refusal(&Ctx::new(app, path), refusal).0)).into_response()
}

pub fn redirect(app: &App, to: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("{}{to}", app.base))]).into_response()
}

pub fn why(no: No) -> Refusal {
    match no {
        No::Host => Refusal::forbidden("This name does not lead here."),
        No::Origin => Refusal::forbidden("This came from another site, and nothing was done.")
            .hint("Behind a proxy, name its host by --host."),
        No::Secret => Refusal::forbidden("The form is not of this process, and nothing was done.")
            .hint("Load the page again; a program sends what /api/session gives as X-Stent-CSRF, or a token."),
    }
}
