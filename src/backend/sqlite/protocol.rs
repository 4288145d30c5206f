use super::Sqlite;
use crate::backend::*;
use crate::model::*;
pub(super) async fn call(_: &Sqlite, _: Request) -> Result<Response> {
    unimplemented!()
}
