//! Which handler answers which address. Pages and acts are found by their own tables.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use stent::codec;

use super::act::{Act, Asked, Done, perform, preview};
use super::answer::{json, redirect, refused, why};
use super::app::App;
use super::assets::{ASSETS, OPENAPI};
use super::audit::Who;
use super::door;
use super::fields::{Fields, link};
use super::guard::Shown;
use super::page::Page;
use super::read::{self, Model, Timeline, payload};
use super::refusal::{Answer, Refusal};
use super::view::{self, Ctx};
use super::{live, login};

/// Of what is posted.
const BODY: usize = 16 << 20;

/// Addresses of the API that are neither a page nor an act.
#[cfg(test)]
pub const OTHERS: &[&str] = &[
    "/session",
    "/openapi.json",
    "/executions/{id}/timeline",
    "/executions/{id}/payload",
    "/executions/{id}/tasks/{task}/payload",
];

/// Where what was done with letters is told on a page of its own.
const LETTERS: &str = "/dead-letters";

type Shared = State<Arc<App>>;

pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/assets/{name}", get(asset))
        .route("/login", get(login::form).post(login::login))
        .route("/logout", post(login::logout))
        .route("/api/session", get(session))
        .route("/api/openapi.json", get(openapi))
        .route("/api/executions/{id}/timeline", get(timeline))
        .route("/api/executions/{id}/payload", get(execution_payload))
        .route("/api/executions/{id}/tasks/{task}/payload", get(task_payload))
        .route("/api/{*path}", get(api).post(api_act))
        .route("/events/", get(events))
        .route("/events/{*path}", get(events))
        .route("/dead-letters/choose", get(choose))
        .fallback(get(page).post(act))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(Arc::clone(&app), door::guard))
        .with_state(app)
}

fn fields(query: Option<&str>) -> Fields {
    Fields::parse(query.unwrap_or_default().as_bytes())
}

async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.find(&name) {
        Some(asset) => {
            let headers =
                [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, asset.text.as_ref()).into_response()
        }
        None => (StatusCode::NOT_FOUND, "There is no such file.\n").into_response(),
    }
}

async fn page(State(app): Shared, uri: Uri) -> Response {
    let answer = match Act::find(uri.path()) {
        Some(act) => ask(&app, act, &fields(uri.query()), None).await,
        None => look(&app, &uri).await,
    };
    answer.unwrap_or_else(|refusal| refused(&app, uri.path(), false, &refusal))
}

async fn look(app: &App, uri: &Uri) -> Answer<Response> {
    let page = Page::find(uri.path(), &fields(uri.query()))?;
    let model = read::read(app, &page).await?;
    // A whole id is looked for: there it is.
    if let (Page::Executions(wanted), Model::Executions(view)) = (&page, &model)
        && wanted.id.as_ref().is_some_and(|id| id.len() >= 32)
        && let [one] = view.executions.as_slice()
    {
        return Ok(redirect(app, &Page::Execution(one.id).link()));
    }
    let ctx = Ctx::new(app, page.link());
    let shown = view::show(&ctx, &model);
    Ok(Html(view::page(&ctx, &shown, true).0).into_response())
}

/// The form of an act.
async fn ask(app: &App, act: Act, fields: &Fields, wrong: Option<Refusal>) -> Answer<Response> {
    if !app.acts {
        return Err(Refusal::forbidden("This page only reads.").hint("It was started with --read-only."));
    }
    let preview = preview(app, act, fields).await?;
    let status = wrong.as_ref().map_or(StatusCode::OK, |wrong| wrong.status);
    let form = view::form(&Ctx::new(app, act.link()), act, fields, &preview, wrong.as_ref(), None);
    Ok((status, Html(form.0)).into_response())
}

async fn act(
    State(app): Shared,
    Extension(who): Extension<Who>,
    Extension(shown): Extension<Shown>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fields = Fields::parse(&body);
    let refused = |refusal: Refusal| refused(&app, uri.path(), false, &refusal);
    if let Err(no) = app.guard.change(&headers, shown, fields.one("csrf")) {
        return refused(why(no));
    }
    let Some(act) = Act::find(uri.path()) else {
        return refused(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Nothing can be sent there."));
    };
    done_by_form(&app, act, who, &fields).await.unwrap_or_else(refused)
}

async fn done_by_form(app: &Arc<App>, act: Act, who: Who, fields: &Fields) -> Answer<Response> {
    let asked = match Asked::of_form(act, fields) {
        Ok(asked) => asked,
        Err(wrong) => return ask(app, act, fields, Some(wrong)).await,
    };
    if fields.one("confirm") != Some("yes") {
        if !act.is_reviewed() {
            return ask(app, act, fields, None).await;
        }
        let preview = preview(app, act, fields).await?;
        let form = view::form(&Ctx::new(app, act.link()), act, fields, &preview, None, Some(&asked));
        return Ok(Html(form.0).into_response());
    }
    match do_it(app, act, who, asked).await {
        Ok(done) if done.left.is_empty() && !done.more && done.to != LETTERS => Ok(redirect(app, &done.to)),
        Ok(done) => Ok(Html(view::done(&Ctx::new(app, act.link()), &done).0).into_response()),
        Err(wrong) if act.is_reviewed() => ask(app, act, fields, Some(wrong)).await,
        Err(wrong) => Err(wrong),
    }
}

/// In a task of its own: what has begun is not broken off when who asked goes away, and is told to the log.
async fn do_it(app: &Arc<App>, act: Act, who: Who, asked: Asked) -> Answer<Done> {
    let app = Arc::clone(app);
    let doing = tokio::spawn(async move {
        let (ids, of) = (asked.ids(), asked.of());
        let done = perform(&app, asked).await;
        match &done {
            Ok(done) => {
                app.audit.write(&who, act.word(), &of, if done.ids.is_empty() { &ids } else { &done.ids }, "done");
            }
            Err(why) => app.audit.write(&who, act.word(), &of, &ids, &why.message),
        }
        done
    });
    doing
        .await
        .unwrap_or_else(|why| Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("It broke off: {why}"))))
}

async fn choose(State(app): Shared, RawQuery(query): RawQuery) -> Response {
    let fields = fields(query.as_deref());
    let act = if fields.one("act") == Some("discard") { Act::Discard } else { Act::Replay };
    let tasks: Vec<_> = fields.all("task").map(|task| ("task", Some(task.into()))).collect();
    redirect(&app, &link(&act.link(), tasks))
}

fn answered(app: &App, path: &str, answer: Answer<Response>) -> Response {
    answer.unwrap_or_else(|refusal| refused(app, path, true, &refusal))
}

async fn api(State(app): Shared, Path(path): Path<String>, RawQuery(query): RawQuery) -> Response {
    let answer = async {
        let page = Page::find(&path, &fields(query.as_deref()))?;
        Ok(json(StatusCode::OK, &read::read(&app, &page).await?))
    };
    let answer = answer.await;
    answered(&app, &path, answer)
}

async fn api_act(
    State(app): Shared,
    Extension(who): Extension<Who>,
    Path(path): Path<String>,
    body: Bytes,
) -> Response {
    let answer = async {
        let act = Act::find(&path)
            .ok_or_else(|| Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Nothing can be sent there."))?;
        let text = std::str::from_utf8(&body).map_err(|_| Refusal::invalid("The body is not text."))?;
        let asked = Asked::of_json(act, text)?;
        Ok(json(StatusCode::OK, &do_it(&app, act, who, asked).await?))
    };
    let answer = answer.await;
    answered(&app, &path, answer)
}

async fn session(State(app): Shared) -> Response {
    #[derive(Serialize)]
    struct View<'a> {
        store: &'a str,
        schema: i64,
        read_only: bool,
        csrf: &'a str,
    }
    let csrf = app.guard.form_secret();
    json(StatusCode::OK, &View { store: &app.store, schema: app.schema, read_only: !app.acts, csrf })
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn timeline(State(app): Shared, Path(id): Path<String>) -> Response {
    let answer = async {
        let id = codec::id_from_text("id", &id)?;
        Ok(json(StatusCode::OK, &Timeline::read(&app, id).await?))
    };
    let answer = answer.await;
    answered(&app, "", answer)
}

async fn execution_payload(State(app): Shared, Path(id): Path<String>, RawQuery(query): RawQuery) -> Response {
    let answer = async {
        let id = codec::id_from_text("id", &id)?;
        payload::of_execution(&app, id, fields(query.as_deref()).one("of").unwrap_or_default()).await
    };
    let answer = answer.await;
    answered(&app, "", answer.map(|bytes| download(&bytes)))
}

async fn task_payload(
    State(app): Shared,
    Path((id, task)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let answer = async {
        let (id, task) = (codec::id_from_text("id", &id)?, codec::id_from_text("task", &task)?);
        payload::of_task(&app, id, task, fields(query.as_deref()).one("of").unwrap_or_default()).await
    };
    let answer = answer.await;
    answered(&app, "", answer.map(|bytes| download(&bytes)))
}

/// As it is. Whatever it says it is, no browser shows it in our place.
fn download(payload: &stent::model::Payload) -> Response {
    let is_text = std::str::from_utf8(payload.as_bytes()).is_ok();
    let name = if is_text { "attachment; filename=\"payload.json\"" } else { "attachment; filename=\"payload.bin\"" };
    let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CONTENT_DISPOSITION, name)];
    (headers, payload.as_bytes().to_vec()).into_response()
}

async fn events(State(app): Shared, path: Option<Path<String>>, RawQuery(query): RawQuery) -> Response {
    let path = path.map(|Path(path)| path).unwrap_or_default();
    let fields = fields(query.as_deref());
    let stream = |page| live::stream(Arc::clone(&app), page, fields.text("digest"));
    let answer = Page::find(&path, &fields).and_then(stream);
    // A proxy that collected it would keep what is news.
    answered(&app, &path, answer.map(|stream| ([("x-accel-buffering", "no")], stream).into_response()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::act::ACTS;
    use crate::ui::page::READS;

    /// The paths of the document, which has each on a line of its own.
    #[test]
    fn the_document_has_every_address_and_no_other() {
        let path = |line: &str| Some(line.strip_prefix("    \"/")?.strip_suffix("\": {")?.to_owned());
        let mut written: Vec<String> = OPENAPI.lines().filter_map(path).map(|path| format!("/{path}")).collect();
        let mut due: Vec<String> = [READS, ACTS, OTHERS].concat().iter().map(|path| format!("/api{path}")).collect();
        written.sort_unstable();
        due.sort_unstable();
        assert_eq!(written, due);
    }
}
