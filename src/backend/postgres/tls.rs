//! Secure connections: what libpq's words ask for, in the driver's.

use std::fs;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::service::{Env, Given, in_home};
use super::written::wrong;
use crate::model::Result;

/// How to connect, in the order in which it is tried: `allow` tries twice.
pub(super) fn ways(given: &Given, env: Env, connection: PgConnectOptions) -> Result<Vec<PgConnectOptions>> {
    let connection = with_client(given, env, connection)?;
    let root = given.get("sslrootcert").map(String::as_str);
    let mode = given.get("sslmode").map(String::as_str);
    if root == Some("system") {
        if mode.is_some_and(|mode| mode != "verify-full") {
            return Err(
                wrong("sslrootcert is 'system', which goes with sslmode=verify-full only").with("key", "sslmode")
            );
        }
        // Those are known without a file.
        return Ok(vec![connection.ssl_root_cert_from_pem(Vec::new()).ssl_mode(PgSslMode::VerifyFull)]);
    }
    let root = match root {
        Some(file) => Some(read("sslrootcert", file)?),
        None => in_home(env, ".postgresql/root.crt").and_then(|file| fs::read(file).ok()),
    };
    let modes: &[PgSslMode] = match mode.unwrap_or("prefer") {
        "disable" => &[PgSslMode::Disable],
        "allow" => &[PgSslMode::Disable, PgSslMode::Require],
        "prefer" => &[PgSslMode::Prefer],
        // Who names those whose word counts wants it asked for.
        "require" if root.is_some() => &[PgSslMode::VerifyCa],
        "require" => &[PgSslMode::Require],
        "verify-ca" => &[PgSslMode::VerifyCa],
        "verify-full" => &[PgSslMode::VerifyFull],
        other => {
            return Err(wrong(&format!(
                "sslmode is '{other}'; known are disable, allow, prefer, require, verify-ca and verify-full"
            ))
            .with("key", "sslmode"));
        }
    };
    let connection = match root {
        Some(root) => connection.ssl_root_cert_from_pem(root),
        None => connection,
    };
    Ok(modes.iter().map(|mode| connection.clone().ssl_mode(*mode)).collect())
}

/// The client's own certificate.
fn with_client(given: &Given, env: Env, connection: PgConnectOptions) -> Result<PgConnectOptions> {
    let part = |word: &str, usual: &str| match given.get(word) {
        Some(file) => read(word, file).map(Some),
        None => Ok(in_home(env, usual).and_then(|file| fs::read(file).ok())),
    };
    let key = part("sslkey", ".postgresql/postgresql.key")?;
    match (part("sslcert", ".postgresql/postgresql.crt")?, key) {
        (Some(certificate), Some(key)) => {
            if String::from_utf8_lossy(&key).contains("ENCRYPTED") {
                return Err(wrong(
                    "the key of the client's certificate has a password; take it off: openssl pkey -in … -out …",
                )
                .with("key", "sslkey"));
            }
            Ok(connection.ssl_client_cert_from_pem(certificate).ssl_client_key_from_pem(key))
        }
        (Some(_), None) if given.contains_key("sslcert") => {
            Err(wrong("sslcert is given and its sslkey is not").with("key", "sslkey"))
        }
        (None, Some(_)) if given.contains_key("sslkey") => {
            Err(wrong("sslkey is given and its sslcert is not").with("key", "sslcert"))
        }
        _ => Ok(connection),
    }
}

fn read(word: &str, file: &str) -> Result<Vec<u8>> {
    fs::read(file).map_err(|why| wrong(&format!("{word} is '{file}', which can't be read: {why}")).with("key", word))
}
