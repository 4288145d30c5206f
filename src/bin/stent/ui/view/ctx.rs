//! What views are given, and what they give.

use maud::Markup;

use crate::ui::app::App;

/// What views know beside their model.
pub struct Ctx<'a> {
    app: &'a App,
    /// The address of the page, without the base.
    pub here: String,
}

impl<'a> Ctx<'a> {
    pub fn new(app: &'a App, here: impl Into<String>) -> Self {
        Self { app, here: here.into() }
    }

    /// An address, from here.
    pub fn to(&self, path: &str) -> String {
        format!("{}{path}", self.app.base)
    }

    /// May something be changed?
    pub fn acts(&self) -> bool {
        self.app.acts
    }

    pub fn needs_token(&self) -> bool {
        self.app.guard.needs_token()
    }

    pub fn store(&self) -> &str {
        &self.app.store
    }

    pub fn secret(&self) -> &str {
        self.app.guard.form_secret()
    }
}

/// A page without its frame: regions, each of which is sent anew when it has changed.
pub struct Shown {
    pub title: String,
    pub regions: Vec<(&'static str, Markup)>,
    /// Does the script of the timeline belong to it?
    pub timeline: bool,
}

impl Shown {
    pub fn new(title: impl Into<String>, regions: Vec<(&'static str, Markup)>) -> Self {
        Self { title: title.into(), regions, timeline: false }
    }
}
