//! How the store is doing, as `stent check` says.

use serde::Serialize;

use crate::ui::app::App;
use crate::ui::refusal::Answer;
use crate::verdict::{self, Finding, Mark, Seen};
use crate::words;

#[derive(Serialize)]
pub struct HealthView {
    pub well: bool,
    /// What is to be done comes first.
    pub findings: Vec<Finding>,
}

pub async fn read(app: &App) -> Answer<HealthView> {
    let health = app.backend.health().await?;
    let registered = app.backend.registered().await?;
    let log = app.backend.log_size();
    let seen = Seen { health: &health, registered: &registered, log, schema: app.schema, now: words::now() };
    let mut findings = verdict::judge(&seen);
    findings.sort_by_key(|finding| match finding.mark {
        Mark::Bad => 0,
        Mark::Watch => 1,
        Mark::Good => 2,
    });
    Ok(HealthView { well: findings.iter().all(|finding| finding.mark == Mark::Good), findings })
}
