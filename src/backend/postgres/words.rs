//! Options of libpq that this library does not implement: the values that are accepted because they change nothing, and
//! what to do instead of others.

use super::written::wrong;
use crate::model::Result;

/// An option, its values that change nothing, and what to do instead of other values.
pub(super) const WORDS: &[(&str, &[&str], &str)] = &[
    (
        "channel_binding",
        &["disable", "prefer"],
        "no channel is bound here; sslmode=verify-full makes sure of the server",
    ),
    ("client_encoding", &["UTF8", "utf8", "UTF-8", "auto"], "all text is UTF-8; leave it out"),
    ("gssdelegation", &["0"], "GSSAPI is not spoken here; use a password or a client certificate"),
    ("gssencmode", &["disable", "prefer"], "GSSAPI is not spoken here; sslmode=require encrypts"),
    ("gsslib", &[], "GSSAPI is not spoken here; use a password or a client certificate"),
    ("krbsrvname", &[], "GSSAPI is not spoken here; use a password or a client certificate"),
    ("keepalives", &["0"], NO_SOCKET),
    ("keepalives_count", &[], NO_SOCKET),
    ("keepalives_idle", &[], NO_SOCKET),
    ("keepalives_interval", &[], NO_SOCKET),
    (
        "load_balance_hosts",
        &["disable"],
        "all workers of a store have to be on one server; list the hosts in the order in which they are tried",
    ),
    ("replication", &["0", "false", "no", "off"], "a store has no use for it; leave it out"),
    (
        "require_auth",
        &[],
        "let the server's pg_hba.conf name the method, and sslmode=verify-full make sure of the server",
    ),
    ("requirepeer", &[], "let the rights of the socket's folder say whose server it is, or use sslmode=verify-full"),
    ("sslcertmode", &["allow"], "a client certificate is shown if there is one and the server asks; leave it out"),
    ("sslcompression", &["0"], "nothing is compressed; leave it out"),
    ("sslcrl", &[], "lists of revoked certificates are not read; take the revoked authority out of sslrootcert"),
    ("sslcrldir", &[], "lists of revoked certificates are not read; take the revoked authority out of sslrootcert"),
    ("sslnegotiation", &["postgres"], "the server is asked for TLS first; leave it out"),
    ("sslpassword", &[], "give a key without a password: openssl pkey -in … -out …"),
    ("sslsni", &["1"], "the server's name is always sent; leave it out"),
    ("ssl_max_protocol_version", &["TLSv1.3"], "TLS 1.2 and 1.3 are spoken; set it at the server"),
    ("ssl_min_protocol_version", &["TLSv1", "TLSv1.1", "TLSv1.2"], "TLS 1.2 and 1.3 are spoken; set it at the server"),
    (
        "target_session_attrs",
        &["any", "read-write", "primary"],
        "a store is written to; say read-write or primary, or leave it out",
    ),
    ("tcp_user_timeout", &["0"], NO_SOCKET),
];

/// What sqlx has no door to.
const NO_SOCKET: &str =
    "the client's socket has no settings; call_timeout ends every wait for a server that says nothing";

/// True: an option of libpq whose value changes nothing. Other values of such an option are refused.
pub(super) fn is_so_anyway(word: &str, value: &str) -> Result<bool> {
    let Some((_, values, instead)) = WORDS.iter().find(|(known, _, _)| *known == word) else { return Ok(false) };
    if values.contains(&value) {
        return Ok(true);
    }
    let known = if values.is_empty() { String::new() } else { format!(" (known: {})", values.join(", ")) };
    Err(wrong(&format!("{word}={value} can't be done here{known}: {instead}")).with("key", word))
}

/// Reads settings of the session: `-c name=value -cname=value --name=value`.
pub(super) fn settings(options: &str) -> Result<Vec<(String, String)>> {
    let broken = || {
        wrong(
            "options must be -c name=value, as often as there are settings; white space in a value has a \\ before it",
        )
        .with("key", "options")
    };
    let mut words: Vec<String> = Vec::new();
    let (mut escaped, mut inside) = (false, false);
    for c in options.chars() {
        if c.is_whitespace() && !escaped {
            inside = false;
            continue;
        }
        if !inside {
            words.push(String::new());
            inside = true;
        }
        if c == '\\' && !escaped {
            escaped = true;
        } else if let Some(word) = words.last_mut() {
            word.push(c);
            escaped = false;
        }
    }
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = match (word.as_str(), word.strip_prefix("-c").or_else(|| word.strip_prefix("--"))) {
            ("-c", _) => words.next().ok_or_else(broken)?,
            (_, Some(setting)) => setting.to_owned(),
            _ => return Err(broken()),
        };
        let (name, value) = setting.split_once('=').ok_or_else(broken)?;
        settings.push((name.to_owned(), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_done_is_refused_with_what_to_do() {
        assert!(is_so_anyway("gssencmode", "disable").unwrap());
        assert!(is_so_anyway("keepalives", "0").unwrap() && is_so_anyway("tcp_user_timeout", "0").unwrap());
        assert!(!is_so_anyway("keepalive", "1").unwrap());
        for word in ["keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"] {
            let why = is_so_anyway(word, "30").unwrap_err();
            assert!(why.message().contains("call_timeout ends every wait"), "{why}");
        }
        for (word, value, says) in [
            ("gssencmode", "require", "sslmode=require encrypts"),
            ("target_session_attrs", "standby", "a store is written to"),
            ("sslpassword", "sesam", "openssl pkey"),
        ] {
            let why = is_so_anyway(word, value).unwrap_err();
            assert!(why.message().contains(says) && !why.message().contains("sesam"), "{why}");
        }
    }

    #[test]
    fn settings_are_read_as_the_server_reads_them() {
        let found = settings(r"-c geqo=off  -cwork_mem=4MB --search_path=a\ b\\c").unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(found, [pair("geqo", "off"), pair("work_mem", "4MB"), pair("search_path", r"a b\c")]);
        for text in ["-c", "geqo=off", "-c geqo", "-B 7"] {
            assert!(settings(text).is_err(), "{text}");
        }
    }
}
