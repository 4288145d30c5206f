//! `stent ui`: a page on which people look at what their workflows do, and act on it. Served by this program alone.
//!
//! A *page* is an address (`page`), a plain model of what the store says (`read/`) and a function that draws it
//! (`view/`). The same model answers as HTML, as JSON under `/api`, and as pieces of HTML in a stream of events.
//!
//! | module | what it knows | what it must not know |
//! |---|---|---|
//! | `page` | which pages there are, and their addresses; pure | stores, HTML |
//! | `fields` | queries and forms, as names with values; pure | what they mean |
//! | `guard` | who may ask: host, token, origin, the secret of forms; pure | routes, stores |
//! | `refusal` | what went wrong, as HTTP says it | where it came from |
//! | `audit` | the log of actions | what they do |
//! | `assets` | style and scripts, and their names for ever | pages |
//! | `app` | what all requests share | HTTP |
//! | `samples`, `series` | counts over time, made while somebody looks | HTTP |
//! | `read/` | asks the store: a model for each page | HTTP, HTML |
//! | `view/` | draws models | the store |
//! | `act/` | what can be done, its forms, and doing it | HTTP |
//! | `login` | the token, for a cookie | what is behind it |
//! | `live` | the stream of events | what is on a page |
//! | `answer` | what many requests are answered: refusals, redirections, JSON | routes |
//! | `gate` | where connections come in: a port, or a socket | HTTP |
//! | `door` | connections, the head of each request, the guard's word | pages |
//! | `routes` | which handler answers which address | the store's reads |
//!
//! Only who looks makes it ask the store: no page, no open stream, no query.

mod act;
mod answer;
mod app;
mod assets;
mod audit;
mod door;
mod fields;
mod gate;
mod guard;
mod live;
mod login;
mod page;
mod read;
mod refusal;
mod routes;
mod samples;
mod series;
mod view;

use std::sync::Arc;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use self::app::App;
use self::audit::Audit;
use self::gate::Gate;
use self::guard::Guard;
use crate::args::{Listen, Ui};
use crate::place::Place;
use crate::screen::Screen;
use crate::trouble::{DONE, Trouble};

/// The token, where no file holds it.
const TOKEN: &str = "STENT_UI_TOKEN";

/// Fewer characters can be guessed.
const TOKEN_MIN: usize = 16;

/// Until a signal ends it.
pub async fn ui(place: &Place, db: &str, ui: Ui, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        listening: String,
    }
    let token = token(&ui)?;
    if let Listen::Tcp(address) = &ui.listen
        && token.is_none()
        && !address.ip().is_loopback()
    {
        return Err(Trouble::usage(format!("{address} can be reached from other machines, and no token is given"))
            .hint(format!(
                "put a token into a file and name it by --token-file, or into {TOKEN}; or listen on 127.0.0.1"
            )));
    }
    let audit = Audit::open(ui.audit_log.as_deref())
        .map_err(|why| Trouble::failed(format!("open the audit log: {why}")).hint("look at --audit-log"))?;
    let failed = |why| {
        let place = match &ui.listen {
            Listen::Tcp(address) => address.to_string(),
            Listen::Unix(path) => format!("unix:{}", path.display()),
        };
        Trouble::failed(format!("listen on {place}: {why}"))
            .hint("give another address by --listen ADDRESS:PORT (with the port 0 a free one is taken) or unix:/PATH")
    };
    // Before anybody knows that it is there, so that whoever ends it at once finds it listening.
    let ended = |kind| signal(kind).map_err(|why| Trouble::failed(format!("listen for signals: {why}")));
    let (mut interrupted, mut terminated) = (ended(SignalKind::interrupt())?, ended(SignalKind::terminate())?);
    let gate = Gate::open(&ui.listen).await.map_err(failed)?;
    let listening = gate.address(&ui.base_path).map_err(failed)?;
    screen.line(format!("The page is at {listening} until this program is ended."));
    screen.json(&View { listening });
    screen.show()?;
    let guard = Guard::new(token.as_deref(), &ui.hosts, &ui.base_path);
    let app = Arc::new(App::new(place, db, guard, audit, &ui));
    tokio::select! {
        never = door::serve(&gate, routes::router(Arc::clone(&app)), app.base.clone()) => match never {},
        _ = interrupted.recv() => Ok(DONE),
        _ = terminated.recv() => Ok(DONE),
    }
}

fn token(ui: &Ui) -> Result<Option<String>, Trouble> {
    let token = match &ui.token_file {
        Some(file) => {
            let read = std::fs::read_to_string(file);
            Some(read.map_err(|why| Trouble::usage(format!("read the token from {}: {why}", file.display())))?)
        }
        None => std::env::var(TOKEN).ok(),
    };
    let Some(token) =
        token.map(|token| token.trim().to_owned()).filter(|token| ui.token_file.is_some() || !token.is_empty())
    else {
        return Ok(None);
    };
    if token.len() < TOKEN_MIN || !token.is_ascii() {
        return Err(Trouble::usage(format!("the token has fewer than {TOKEN_MIN} ASCII characters"))
            .hint("make one by: openssl rand -hex 32"));
    }
    Ok(Some(token))
}
