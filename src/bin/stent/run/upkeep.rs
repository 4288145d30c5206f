//! A store's own life: it is made, brought up to date, cleaned up and copied.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Serialize;
use stent::backend::{Old, OldFilter, SchemaVersion};
use stent::model::{CleanupOptions, format_duration};

use crate::args::{Backup, Cleanup, Migrate};
use crate::place::{self, Place};
use crate::screen::Screen;
use crate::trouble::{DONE, Trouble};
use crate::words::{self, several};

/// Of more than this, a dry run says "or more": it does not count everything.
const COUNTED: u32 = 100_000;

#[derive(Serialize)]
struct Schema {
    /// 0: there was no store.
    from: i64,
    to: i64,
    done: bool,
}

pub async fn init(db: Option<&str>, screen: &mut Screen) -> Result<u8, Trouble> {
    let SchemaVersion { found, known } = place::schema(db).await?;
    if found > 0 && found < known {
        return Err(Trouble::conflict(format!("there is a store already, with schema version {found} of {known}"))
            .hint("stent migrate brings it up to date"));
    }
    if found == 0 {
        place::make(db).await?.close().await?;
        screen.line("The store is made. Workers and clients may be started on it.");
    } else {
        screen.line("The store is there already, and up to date; nothing was done.");
    }
    screen.json(&Schema { from: found, to: known, done: found == 0 });
    Ok(DONE)
}

pub async fn migrate(db: Option<&str>, migrate: Migrate, screen: &mut Screen) -> Result<u8, Trouble> {
    let db = place::named(db)?;
    let SchemaVersion { found, known } = place::schema(Some(db)).await?;
    if found == 0 {
        return Err(place::missing(db));
    }
    let due = found < known;
    if !due {
        screen.line(format!(
            "The schema has version {found}, the newest that this command knows; nothing is to be done."
        ));
    } else if migrate.dry_run {
        screen.line(format!(
            "The schema would go from version {found} to {known}. Programs with an older library than this command's can't \
             use it from then on, and there is no way back but a backup."
        ));
    } else {
        let question = format!("Bring the schema from version {found} to {known}? Older libraries can't use it then.");
        screen.confirm(migrate.yes, &question)?;
        let bar = busy("migrating");
        place::make(Some(db)).await?.close().await?;
        bar.finish_and_clear();
        screen.line(format!("The schema has version {known} now."));
    }
    screen.json(&Schema { from: found, to: known, done: due && !migrate.dry_run });
    Ok(DONE)
}

pub async fn cleanup(place: &Place, cleanup: Cleanup, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        executions: u64,
        dead_letters: u64,
        /// There may be more than were counted.
        or_more: bool,
        done: bool,
    }
    let Cleanup { older_than, dead_letters, dry_run, yes } = cleanup;
    let now = words::now();
    let filter = OldFilter {
        executions: now.before(older_than),
        dead_letters: dead_letters.map(|age| now.before(age)),
        limit: COUNTED,
    };
    let Old { executions, dead_letters: letters } = place.backend.old(filter).await?;
    let or_more = executions.max(letters) >= u64::from(COUNTED);
    let count = |count: u64, what: &str| match count >= u64::from(COUNTED) {
        true => format!("{} or more {what}s", words::number(count)),
        false => several(count, what),
    };
    let age = format_duration(older_than);
    let too = dead_letters.map(|_| format!(" and {}", count(letters, "dead letter"))).unwrap_or_default();
    let what = format!("{} that ended more than {age} ago{too}", count(executions, "execution"));
    if dry_run || executions + letters == 0 {
        screen.line(format!("{what} would go, and nothing was deleted."));
        screen.json(&View { executions, dead_letters: letters, or_more, done: false });
        return Ok(DONE);
    }
    screen.confirm(yes, &format!("Delete {what}? It can't be undone."))?;
    let bar = busy("deleting, in small transactions");
    let done = place.executor.cleanup(CleanupOptions { older_than, dead_letters }).await;
    bar.finish_and_clear();
    let done = done?;
    let too = dead_letters.map(|_| format!(" and {}", several(done.dead_letters, "dead letter"))).unwrap_or_default();
    screen.line(format!("Deleted {}{too}.", several(done.executions, "execution")));
    screen.json(&View { executions: done.executions, dead_letters: done.dead_letters, or_more: false, done: true });
    Ok(DONE)
}

pub async fn backup(place: &Place, backup: Backup, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        file: String,
        bytes: u64,
    }
    let file = backup.file.to_string_lossy().into_owned();
    let bar = busy("copying");
    let copied = place.backend.backup(&file).await;
    bar.finish_and_clear();
    copied?;
    let bytes = std::fs::metadata(&backup.file).map(|found| found.len()).unwrap_or(0);
    screen.line(format!("Copied to {} ({}).", words::visible(&file), words::bytes(bytes)));
    screen.json(&View { file, bytes });
    Ok(DONE)
}

/// Turns while something takes its time; on standard error, and only where that is a terminal.
fn busy(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(indicatif::ProgressStyle::default_spinner());
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
