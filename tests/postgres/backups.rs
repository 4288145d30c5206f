//! A backup of a server's database is the server's affair.

use stent::model::Status;

use crate::house::House;
use crate::postgres::fresh_url;

#[test]
fn a_backup_is_refused_and_says_what_to_use() {
    let house = House::at(&fresh_url(""));
    let why = house.on(house.backend.backup("/tmp/never.db")).unwrap_err();
    assert_eq!(why.status(), Status::Unsupported);
    assert!(why.message().contains("pg_dump") && why.message().contains("pg_basebackup"), "{why}");
    assert!(!why.is_retryable());
}
