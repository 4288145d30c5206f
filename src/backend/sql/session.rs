//! Where statements run, as the flow sees it.

use futures_util::future::BoxFuture;

use super::call::Call;
use super::lock::Lock;
use super::row::Row;
use crate::model::{Error, Result};

/// What a statement did.
#[derive(Default)]
pub(in crate::backend) struct Answer {
    pub rows: Vec<Row>,
    /// Rows that it changed.
    pub changed: u64,
}

/// Where statements run: a transaction, or a connection that reads.
pub(in crate::backend) trait Session: Send {
    /// Runs one statement. The values are taken before the first await.
    fn run<'s>(&'s mut self, call: &Call<'_>) -> BoxFuture<'s, Result<Answer>>;

    /// Takes locks that are held until the transaction ends, in an order of their own. `wait`: as long as others have
    /// them. False: others have one, and nothing was taken. Where nobody else writes, there is nothing to take.
    fn lock<'s>(&'s mut self, locks: &[Lock<'_>], wait: bool) -> BoxFuture<'s, Result<bool>>;

    /// No other transaction writes while this one is open: what was read stays as it is, and nothing has to be locked.
    fn is_alone(&self) -> bool;
}

impl dyn Session + '_ {
    /// A batch without rows is not sent.
    pub async fn answer(&mut self, call: &Call<'_>) -> Result<Answer> {
        if call.is_empty() && !call.statement().rows.is_empty() {
            return Ok(Answer::default());
        }
        self.run(call).await
    }

    pub async fn fetch(&mut self, call: &Call<'_>) -> Result<Vec<Row>> {
        Ok(self.answer(call).await?.rows)
    }

    /// The first row, if there is one.
    pub async fn find(&mut self, call: &Call<'_>) -> Result<Option<Row>> {
        Ok(self.fetch(call).await?.into_iter().next())
    }

    /// For a statement that always answers.
    pub async fn one(&mut self, call: &Call<'_>) -> Result<Row> {
        let doing = call.statement().doing;
        self.find(call).await?.ok_or_else(|| Error::backend(format!("{doing}: the database answered nothing")))
    }

    /// How many rows it changed.
    pub async fn change(&mut self, call: &Call<'_>) -> Result<u64> {
        Ok(self.answer(call).await?.changed)
    }
}
