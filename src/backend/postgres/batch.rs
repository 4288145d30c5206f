//! Sets of rows as parameters of one statement: an array for each column, for `unnest` to put together.

use sqlx::postgres::{PgArguments, Postgres};

use crate::model::{Id, Timestamp};

pub(super) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

enum Column {
    Ids(Vec<Option<Id>>),
    Ints(Vec<Option<i64>>),
    Flags(Vec<Option<bool>>),
    Times(Vec<Option<Timestamp>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

#[derive(Default)]
pub(super) struct Batch {
    columns: Vec<Column>,
    count: usize,
}

/// Takes the column at the cursor, which the first row makes.
macro_rules! column {
    ($row:expr, $kind:ident, $value:expr) => {{
        let value = $value;
        let at = $row.cursor;
        $row.cursor += 1;
        if at == $row.batch.columns.len() {
            $row.batch.columns.push(Column::$kind(Vec::new()));
        }
        match &mut $row.batch.columns[at] {
            Column::$kind(column) => column.push(value),
            _ => unreachable!("the rows of a batch are alike"),
        }
        $row
    }};
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a row; its columns follow, the same for every row.
    pub fn row(&mut self) -> Row<'_> {
        self.count += 1;
        Row { batch: self, cursor: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// One column of ids, in their order: whoever locks by it locks in the one order that all keep to.
    pub fn of_ids(ids: impl IntoIterator<Item = Id>) -> Self {
        let mut ids: Vec<Option<Id>> = ids.into_iter().map(Some).collect();
        ids.sort_unstable();
        ids.dedup();
        Self { count: ids.len(), columns: vec![Column::Ids(ids)] }
    }

    /// The rows in the order of their first column, an id.
    pub fn by_id(self) -> Self {
        let Some(Column::Ids(ids)) = self.columns.first() else { return self };
        let mut order: Vec<usize> = (0..self.count).collect();
        order.sort_by_key(|at| ids[*at]);
        Self { count: self.count, columns: self.columns.into_iter().map(|column| column.in_order(&order)).collect() }
    }

    pub fn bind_to(self, query: Query<'_>) -> Query<'_> {
        self.columns.into_iter().fold(query, |query, column| match column {
            Column::Ids(values) => query.bind(values),
            Column::Ints(values) => query.bind(values),
            Column::Flags(values) => query.bind(values),
            Column::Times(values) => query.bind(values),
            Column::Texts(values) => query.bind(values),
            Column::Bytes(values) => query.bind(values),
        })
    }
}

impl Column {
    fn in_order(self, order: &[usize]) -> Self {
        fn permute<T>(mut values: Vec<Option<T>>, order: &[usize]) -> Vec<Option<T>> {
            order.iter().map(|at| values[*at].take()).collect()
        }
        match self {
            Self::Ids(values) => Self::Ids(permute(values, order)),
            Self::Ints(values) => Self::Ints(permute(values, order)),
            Self::Flags(values) => Self::Flags(permute(values, order)),
            Self::Times(values) => Self::Times(permute(values, order)),
            Self::Texts(values) => Self::Texts(permute(values, order)),
            Self::Bytes(values) => Self::Bytes(permute(values, order)),
        }
    }
}

/// A row in the making.
pub(super) struct Row<'a> {
    batch: &'a mut Batch,
    cursor: usize,
}

impl Row<'_> {
    pub fn id(&mut self, value: impl Into<Option<Id>>) -> &mut Self {
        column!(self, Ids, value.into())
    }

    pub fn int(&mut self, value: impl Into<Option<i64>>) -> &mut Self {
        column!(self, Ints, value.into())
    }

    pub fn flag(&mut self, value: impl Into<Option<bool>>) -> &mut Self {
        column!(self, Flags, value.into())
    }

    pub fn time(&mut self, value: impl Into<Option<Timestamp>>) -> &mut Self {
        column!(self, Times, value.into())
    }

    pub fn text<'b>(&mut self, value: impl Into<Option<&'b str>>) -> &mut Self {
        column!(self, Texts, value.into().map(str::to_owned))
    }

    pub fn bytes<'b>(&mut self, value: impl Into<Option<&'b [u8]>>) -> &mut Self {
        column!(self, Bytes, value.into().map(<[u8]>::to_vec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_put_in_order_whole() {
        let [first, second] = [Id::from_u128(1), Id::from_u128(2)];
        let mut batch = Batch::new();
        batch.row().id(second).text("second").int(None);
        batch.row().id(first).text("first").int(1);
        let batch = batch.by_id();
        assert_eq!(batch.len(), 2);
        assert!(matches!(&batch.columns[1], Column::Texts(texts) if texts[0].as_deref() == Some("first")));
        assert!(matches!(&batch.columns[2], Column::Ints(ints) if *ints == [Some(1), None]));
    }

    #[test]
    fn ids_come_once_and_in_order() {
        let ids = [3, 1, 3].map(Id::from_u128);
        assert!(matches!(&Batch::of_ids(ids).columns[0], Column::Ids(ids) if ids.len() == 2 && ids[0] < ids[1]));
    }
}
