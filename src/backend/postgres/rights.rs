//! What the user may do with the schema; what is missing is told with the statement that gives it.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::conn::Conn;
use super::error;
use super::pool::quoted;
use crate::model::{Error, Result};

pub(super) struct Rights {
    row: PgRow,
    /// As identifiers.
    schema: String,
    me: String,
}

impl Rights {
    pub async fn look(conn: &mut Conn, schema: &str) -> Result<Self> {
        let row = sqlx::query(include_str!("sql/schema_rights.sql"))
            .bind(schema)
            .fetch_one(conn)
            .await
            .map_err(error::map("look at the user's rights"))?;
        let me = quoted(row.get("me"));
        Ok(Self { row, schema: quoted(schema), me })
    }

    fn has(&self, right: &str) -> bool {
        self.row.get(right)
    }

    /// The schema is there.
    pub fn found(&self) -> bool {
        self.has("found")
    }

    fn refused(&self, what: &str, grants: &[String]) -> Error {
        Error::backend(format!("the user {} {what}; who owns it says: {}", self.me, grants.join("; ")))
            .with("grants", grants.to_vec())
    }

    /// Needed for a schema whose tables are there.
    pub fn to_work(&self) -> Result<()> {
        let (schema, me) = (&self.schema, &self.me);
        let missing: Vec<String> = self.row.get("missing");
        let (mut lacks, mut grants) = (missing.clone(), Vec::new());
        if !self.has("may_use") {
            lacks.insert(0, "USAGE".to_owned());
            grants.push(format!("GRANT USAGE ON SCHEMA {schema} TO {me}"));
        }
        if !missing.is_empty() {
            grants.push(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {me}"));
        }
        if grants.is_empty() {
            return Ok(());
        }
        Err(self.refused(&format!("lacks rights on the schema {schema} or its tables ({})", lacks.join(", ")), &grants))
    }

    /// Needed to make the tables of a schema that has none.
    pub fn to_create(&self) -> Result<()> {
        let (schema, me) = (&self.schema, &self.me);
        if !self.found() {
            if self.has("may_make_schemas") {
                return Ok(());
            }
            let database = quoted(self.row.get("database"));
            let what = format!("may not create the schema {schema} in the database {database}");
            let grant =
                format!("GRANT CREATE ON DATABASE {database} TO {me}, or CREATE SCHEMA {schema} AUTHORIZATION {me}");
            return Err(self.refused(&what, &[grant]));
        }
        let lacks: Vec<&str> = [("may_use", "USAGE"), ("may_create", "CREATE")]
            .iter()
            .filter(|(right, _)| !self.has(right))
            .map(|(_, name)| *name)
            .collect();
        if lacks.is_empty() {
            return Ok(());
        }
        let lacks = lacks.join(", ");
        let grant = format!("GRANT {lacks} ON SCHEMA {schema} TO {me}");
        Err(self.refused(&format!("may not create tables in the schema {schema} ({lacks} is missing)"), &[grant]))
    }

    /// Needed to bring tables that are there from one version to another.
    pub fn to_change(&self, from: i64, to: i64) -> Result<()> {
        let owner: String = self.row.get("owner");
        if !self.has("is_owner") {
            return Err(Error::backend(format!(
                "the schema {} has version {from}, and this library needs {to}, to which only the owner of its tables brings \
                 it; open it once as the user '{owner}'",
                self.schema
            ))
            .with("owner", owner));
        }
        self.to_create()
    }
}
