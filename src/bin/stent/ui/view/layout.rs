//! The frame of all pages.

use maud::{DOCTYPE, Markup, html};

use super::ctx::{Ctx, Shown};
use super::parts::lines;
use crate::ui::assets::ASSETS;
use crate::ui::refusal::Refusal;

const MENU: [(&str, &str); 9] = [
    ("/", "Overview"),
    ("/executions", "Executions"),
    ("/tasks", "Tasks"),
    ("/dead-letters", "Dead letters"),
    ("/schedules", "Schedules"),
    ("/workers", "Workers"),
    ("/functions", "Functions"),
    ("/queues", "Queues"),
    ("/health", "Health"),
];

fn head(ctx: &Ctx<'_>, title: &str) -> Markup {
    let asset = |name: &str| ctx.to(&format!("/assets/{name}"));
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        title { (title) " · Stent" }
        link rel="icon" type="image/svg+xml" href=(asset(&ASSETS.icon.name));
        link rel="stylesheet" href=(asset(&ASSETS.style.name));
        // Before anything is drawn: the colours that were chosen.
        script src=(asset(&ASSETS.early.name)) {}
    }
}

/// A page with its menu. `live`: it has a stream of events.
pub fn page(ctx: &Ctx<'_>, shown: &Shown, live: bool) -> Markup {
    let asset = |name: &str| ctx.to(&format!("/assets/{name}"));
    let stream = live.then(|| ctx.to(&format!("/events{}", ctx.here)));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                (head(ctx, &shown.title))
                script type="module" src=(asset(&ASSETS.script.name)) {}
                @if shown.timeline { script type="module" src=(asset(&ASSETS.timeline.name)) {} }
            }
            body data-stream=[stream] {
                a.skip href="#main" { "Skip to the content" }
                (header(ctx))
                main #main tabindex="-1" {
                    @for (name, region) in &shown.regions { div id={ "r-" (name) } class={ "region at-" (name) } { (region) } }
                }
                (footer(ctx))
                div #news.visually-hidden role="status" aria-live="polite" {}
            }
        }
    }
}

fn header(ctx: &Ctx<'_>) -> Markup {
    let path = ctx.here.split('?').next().unwrap_or_default();
    let is_here = |link: &str| path == link || (link != "/" && path.starts_with(&format!("{link}/")));
    html! {
        header.top {
            a.brand href=(ctx.to("/")) { span.mark aria-hidden="true" {} "Stent" }
            button.menu type="button" aria-expanded="false" aria-controls="menu" { "Menu" }
            nav #menu aria-label="Pages" {
                ul {
                    @for (link, name) in MENU {
                        li { a href=(ctx.to(link)) aria-current=[is_here(link).then_some("page")] { (name) } }
                    }
                }
            }
            form.find role="search" action=(ctx.to("/executions")) method="get" {
                label.visually-hidden for="find" { "Find an execution by its id" }
                input #find type="search" name="id" placeholder="Find by id" autocomplete="off" spellcheck="false"
                    aria-keyshortcuts="/" maxlength="36";
            }
            @if ctx.acts() { a.button.primary href=(ctx.to("/dispatch")) { "Dispatch" } }
        }
    }
}

fn footer(ctx: &Ctx<'_>) -> Markup {
    html! {
        footer.bottom {
            span { "Store " code { (ctx.store()) } }
            @if !ctx.acts() { span.tag { "read-only" } }
            span #live.live hidden data-state="off" { span.dot aria-hidden="true" {} span.word { "not live" } }
            span.spring {}
            button #keys type="button" hidden { "Keys" }
            button #theme type="button" hidden { "Colours: as the system" }
            @if ctx.needs_token() {
                form action=(ctx.to("/logout")) method="post" {
                    (secret(ctx))
                    button type="submit" { "Log out" }
                }
            }
        }
    }
}

pub fn secret(ctx: &Ctx<'_>) -> Markup {
    html! { input type="hidden" name="csrf" value=(ctx.secret()); }
}

/// A page of its own, for who may not see the others.
pub fn bare(ctx: &Ctx<'_>, wrong: bool) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { (head(ctx, "Log in")) }
            body.bare {
                main #main {
                    h1 { span.mark aria-hidden="true" {} "Stent" }
                    form.card action=(ctx.to("/login")) method="post" {
                        // A password manager wants a name.
                        input type="hidden" name="username" value="stent" autocomplete="username";
                        input type="hidden" name="to" value=(ctx.here);
                        label for="token" { "Token" }
                        input #token type="password" name="token" required autocomplete="current-password" autofocus
                            aria-describedby="token-help" aria-invalid=[wrong.then_some("true")];
                        p #token-help.help {
                            @if wrong { strong.bad { "That is not the token. " } }
                            "It is the one that " code { "stent ui" } " was started with."
                        }
                        button.primary type="submit" { "Log in" }
                    }
                }
            }
        }
    }
}

/// What went wrong, in the frame of all pages.
pub fn refusal(ctx: &Ctx<'_>, refusal: &Refusal) -> Markup {
    let title = refusal.status.canonical_reason().unwrap_or("It failed");
    let region = html! {
        h1 { (title) }
        div.card.problem role="alert" {
            p { (lines(&refusal.message)) }
            @if let Some(hint) = &refusal.hint { p.help { (lines(hint)) } }
            p { a href=(ctx.to("/")) { "To the overview" } }
        }
    };
    page(ctx, &Shown::new(title, vec![("refusal", region)]), false)
}
