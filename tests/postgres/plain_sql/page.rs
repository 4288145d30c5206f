//! docs/sql.md as it is printed: its statements by psql, and the programs that it shows parts of.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Client;
use crate::house::{House, text};
use crate::postgres::Server;

const PAGE: &str = include_str!("../../../docs/sql.md");

const DRIVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres/plain_sql/drivers");

fn run(command: &mut Command) -> String {
    let said = command.output().unwrap();
    assert!(
        said.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    String::from_utf8(said.stdout).unwrap()
}

/// A server with a store in the schema that the page speaks of, and workers for what is dispatched there.
fn store(name: &str) -> (Server, House) {
    let server = Server::new(name, "");
    let house = House::at(&format!("{}?min_size=0&max_size=6", server.url));
    ["ship", "send_invoice"].into_iter().for_each(|function| house.echo(function));
    (server, house)
}

fn psql(url: &str, script: &str) -> String {
    run(Command::new("psql").args(["-qAt", "-v", "ON_ERROR_STOP=1", url, "-c", script]))
}

#[test]
fn the_pages_statements_do_what_it_says() {
    let (server, house) = store("sql_page");
    let blocks: Vec<&str> = PAGE.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [order, invoices, rights] = blocks.as_slice() else {
        panic!("the page has three blocks, and not {}", blocks.len())
    };
    let ids = psql(&server.url, order);
    let _worker = house.worker(2);
    assert_eq!(text(&house.result(ids.trim().parse().unwrap()).unwrap()), "[17, 9.50]");
    let client = house.on(Client::at(&server.url, "stent"));
    psql(&server.url, invoices);
    let second = house.on(client.one("SELECT execution::text FROM invoices WHERE number = 2"));
    assert_eq!(text(&house.result(second.parse().unwrap()).unwrap()), "[2, 35.50]");
    psql(&server.url, rights);
    let shop = server.url.replace("//stent@", "//shop@");
    for args in ["'[18]'", "'[18]'::json", "'[18]'::jsonb"] {
        let id = psql(&shop, &format!("SELECT stent.dispatch('ship', {args})"));
        assert_eq!(text(&house.result(id.trim().parse().unwrap()).unwrap()), "[18]");
    }
    let refused = Command::new("psql").args([&shop, "-c", "SELECT count(*) FROM stent.tasks"]).output().unwrap();
    assert!(!refused.status.success());
}

/// Python with the packages that the page's program takes, made once.
fn python() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plain-sql-python");
    let wanted = std::fs::read_to_string(format!("{DRIVERS}/requirements.txt")).unwrap();
    let (mark, python) = (place.join("made-for"), place.join("bin/python"));
    if std::fs::read_to_string(&mark).ok().as_ref() != Some(&wanted) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place));
        let requirements = format!("{DRIVERS}/requirements.txt");
        run(Command::new(&python).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            &requirements,
        ]));
        std::fs::write(mark, wanted).unwrap();
    }
    python
}

#[test]
fn the_pages_programs_dispatch_with_their_rows() {
    let (server, house) = store("sql_programs");
    psql(&server.url, "CREATE TABLE orders (number int PRIMARY KEY, price numeric NOT NULL)");
    let said = run(Command::new(python()).arg(format!("{DRIVERS}/orders.py")).arg(&server.url));
    let [one, two, lost] =
        said.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap();
    let by_go = run(Command::new("go").args(["run", ".", &server.url]).current_dir(DRIVERS));
    let _worker = house.worker(2);
    assert_eq!(text(&house.result(two).unwrap()), "[2, \"3.25\"]");
    assert_eq!(text(&house.result(by_go.trim().parse().unwrap()).unwrap()), "[3,\"4.75\"]");
    // Cancelled before a worker was there.
    let ended = house.on(house.executor.wait(one, crate::house::SOON)).unwrap();
    assert_eq!(ended.cancel_reason.as_deref(), Some("not in stock"));
    assert!(house.on(house.backend.snapshot(lost)).unwrap().is_none());
    let orders = psql(&server.url, "SELECT string_agg(number || ' ' || price, ', ' ORDER BY number) FROM orders");
    assert_eq!(orders.trim(), "1 2.50, 2 3.25, 3 4.75");
}
