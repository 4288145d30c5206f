//! PostgreSQL as it is in the world: connections that are cut or silent, servers that go away, many processes, a worker with
//! nothing to do, URLs.

#[path = "../common/authority.rs"]
mod authority;
mod backups;
mod circles;
mod costs;
mod documents;
mod encodings;
mod hints;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../executor/house.rs"]
mod house;
mod idle;
mod journeys;
mod kills;
mod libpq;
mod lost_answers;
mod migrations;
mod orders;
mod outages;
mod passing;
mod pauses;
mod plain_sql;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../common/postgres.rs"]
mod postgres;
mod processes;
mod proxy;
mod renewals;
mod shares;
mod silence;
mod slots;
mod time_outs;
mod urls;

const KIND: house::Kind =
    house::Kind::Postgres { fresh_url: || postgres::fresh_url(""), lend: || (postgres::fresh_url(""), None) };
