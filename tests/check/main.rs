//! The conformance suite of the library (`stent_backend_check`), run as its users run it: on the stores of this
//! library, on custom backends around them, and on stores that are broken on purpose, of which it must catch every
//! one.

#[path = "../common/around.rs"]
mod around;
mod broken;
#[path = "../common/postgres.rs"]
mod postgres;

use stent::backend::SharedBackend;
use stent::backend::postgres::Postgres;
use stent::backend::sqlite::Sqlite;
use stent::check::{Outcome, Report, check};
use stent::model::{CheckOptions, SqliteOptions};

fn on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

async fn memory() -> SharedBackend {
    Sqlite::open(":memory:", SqliteOptions::default()).await.unwrap()
}

async fn report(backend: SharedBackend, only: &[&str]) -> Report {
    let only = only.iter().map(|name| (*name).to_owned()).collect();
    check(backend, &CheckOptions { only, ..CheckOptions::default() }).await.unwrap()
}

/// Nothing has failed.
fn sound(report: &Report) {
    let failed: Vec<_> = report.cases.iter().filter(|told| told.outcome == Outcome::Failed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

fn passes_whole(report: &Report) {
    sound(report);
    assert_eq!((report.level, report.failed), ("engine", 0));
    let not_offered: Vec<_> = report.cases.iter().filter(|told| told.outcome == Outcome::NotOffered).collect();
    assert!(not_offered.is_empty(), "{not_offered:#?}");
    assert!(report.given_up.is_empty() && report.passed > 150, "{} cases", report.passed);
}

#[test]
fn a_custom_backend_with_the_engines_operations_passes() {
    on(async { passes_whole(&report(around::around(memory().await, true), &[]).await) });
}

#[test]
fn one_with_the_protocols_alone_passes_what_it_offers_and_is_told_what_it_gives_up() {
    on(async {
        let report = report(around::around(memory().await, false), &[]).await;
        sound(&report);
        assert_eq!(report.level, "protocol");
        assert!(report.passed > 30 && report.not_offered > 100, "{report:#?}");
        assert!(report.given_up.len() > 4);
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let document = words(include_str!("../../docs/writing-a-backend.md"));
        for given_up in report.given_up {
            assert!(document.contains(&words(given_up)), "docs/writing-a-backend.md does not say: {given_up}");
        }
    });
}

#[test]
fn a_store_may_be_checked_again_and_in_part() {
    on(async {
        let memory = memory().await;
        passes_whole(&report(memory.clone(), &[]).await);
        let postgres = Postgres::open(&postgres::fresh_url("")).await.unwrap();
        for store in [memory, postgres] {
            let names = ["fences/", "keys/", "times/", "cleanup/", "keeping/", "records/", "schedules/"];
            for _ in 0..2 {
                let report = report(store.clone(), &names).await;
                sound(&report);
                assert!(report.passed > 40 && report.cases.len() == report.passed);
            }
            let nothing = CheckOptions { only: vec!["no such case".into()], ..CheckOptions::default() };
            assert!(check(store, &nothing).await.unwrap_err().message().contains("no such case"));
        }
    });
}
