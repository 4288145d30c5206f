//! The commands: each asks the store, then says.

mod bench;
mod catalog;
mod check;
mod executions;
mod letters;
mod metrics;
mod moves;
mod pauses;
mod schedules;
pub mod show;
mod tasks;
mod upkeep;

use stent::backend::Pausable;

use crate::args::{Args, Command};
use crate::place::{self, Place};
use crate::screen::Screen;
use crate::trouble::{DONE, Trouble};
use crate::{args, papers, ui, watch};

/// The exit code, if nothing went wrong.
pub async fn run(args: Args, screen: &mut Screen) -> Result<u8, Trouble> {
    let Args { db, command, .. } = args;
    let db = db.as_deref();
    match command {
        Command::Completions { shell } => {
            screen.raw(&papers::completions(shell));
            Ok(DONE)
        }
        Command::Man { folder } => papers::man(&folder).map(|()| DONE),
        Command::Schedules(args::Schedules::Next { cron: Some(cron), time_zone, count, .. }) => {
            schedules::next(cron, time_zone, count, screen)
        }
        Command::Init => upkeep::init(db, screen).await,
        Command::Migrate(migrate) => upkeep::migrate(db, migrate, screen).await,
        command => {
            let place = place::open(db).await?;
            let code = on(&place, db, command, screen).await;
            let closed = place.close().await;
            let code = code?;
            closed?;
            Ok(code)
        }
    }
}

/// Those that need a store that is there.
async fn on(place: &Place, db: Option<&str>, command: Command, screen: &mut Screen) -> Result<u8, Trouble> {
    match command {
        Command::List(list) => executions::list(place, list, screen).await,
        Command::Dispatch(dispatch) => executions::dispatch(place, *dispatch, screen).await,
        Command::Signal(signal) => executions::signal(place, signal, screen).await,
        Command::Cancel(cancel) => executions::cancel(place, cancel, screen).await,
        Command::Wait(args::Wait { execution, timeout }) => executions::wait(place, execution, timeout, screen).await,
        Command::Retry(one) => letters::retry(place, one.id, screen).await,
        Command::Resume(one) => tasks::resume(place, one.id, screen).await,
        Command::Show(show) => show::show(place, show, screen).await,
        Command::Tasks(tasks) => tasks::list(place, tasks, screen).await,
        Command::Functions(args::OrHold { hold: None }) => catalog::functions(place, screen).await,
        Command::Functions(args::OrHold { hold: Some(hold) }) => {
            pauses::hold(place, Pausable::Function, hold, screen).await
        }
        Command::Workers => catalog::workers(place, screen).await,
        Command::Queues(args::OrHold { hold: None }) => catalog::queues(place, screen).await,
        Command::Queues(args::OrHold { hold: Some(hold) }) => pauses::hold(place, Pausable::Queue, hold, screen).await,
        Command::Stats => catalog::stats(place, screen).await,
        Command::Metrics(wanted) => metrics::metrics(place, wanted, screen).await,
        Command::Dlq(dlq) => letters::dlq(place, dlq, screen).await,
        Command::Schedules(what) => schedules::schedules(place, what, screen).await,
        Command::Cleanup(cleanup) => upkeep::cleanup(place, cleanup, screen).await,
        Command::Backup(backup) => upkeep::backup(place, backup, screen).await,
        Command::Watch(how) => watch::watch(place, db.unwrap_or_default(), how, screen).await,
        Command::Ui(how) => ui::ui(place, db.unwrap_or_default(), how, screen).await,
        Command::Bench(bench) => bench::bench(place, bench, screen).await,
        Command::Export(export) => moves::export(place, export, screen).await,
        Command::Import(import) => moves::import(place, import, screen).await,
        Command::Exported(command) => moves::on_the_way(place, command, screen).await,
        Command::Check => check::check(place, screen).await,
        // They were seen to before.
        Command::Init | Command::Migrate(_) | Command::Completions { .. } | Command::Man { .. } => Ok(DONE),
    }
}
