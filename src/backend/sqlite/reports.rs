use super::Sqlite;
use crate::backend::*;
use crate::model::*;
pub(super) async fn ended_among(_: &Sqlite, _: Vec<Id>) -> Result<Vec<Id>> {
    unimplemented!()
}
pub(super) async fn cancelled_among(_: &Sqlite, _: Vec<Id>) -> Result<Vec<Id>> {
    unimplemented!()
}
pub(super) async fn snapshot(_: &Sqlite, _: Id) -> Result<Option<Snapshot>> {
    unimplemented!()
}
pub(super) async fn list(_: &Sqlite, _: ExecutionFilter) -> Result<Vec<Execution>> {
    unimplemented!()
}
pub(super) async fn dead_letters(_: &Sqlite, _: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
    unimplemented!()
}
pub(super) async fn stats(_: &Sqlite) -> Result<StoreStats> {
    unimplemented!()
}
