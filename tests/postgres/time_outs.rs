//! A time-out, and the transactions that have begun before it.

use std::time::Duration;

use stent::model::DispatchOptions;

use crate::house::House;
use crate::plain_sql::Client;
use crate::postgres::fresh_url;

/// Who ends it may have begun before its time, and see that another has found it late.
#[test]
fn what_timed_out_ended_no_sooner_than_its_time() {
    let url = fresh_url("");
    let house = House::at(&url);
    let client = house.on(Client::of(&url));
    let options = DispatchOptions { expiry: Some(Duration::from_secs(600)), ..DispatchOptions::default() };
    house.on(house.executor.dispatch("nobody", "[]".into(), options)).unwrap();
    house.on(client.say("UPDATE stent.executions SET state = 'cancelling', ending = 'timed_out', due_at = NULL"));
    while house.on(house.backend.sweep("nobody")).unwrap().more {}
    let told = "SELECT state || ' ' || (completed_at - expiry_at) FROM stent.executions";
    assert_eq!(house.on(client.one(told)), "timed_out 00:00:00");
}
