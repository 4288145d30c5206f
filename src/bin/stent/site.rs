//! What can be said on the command line of the page: where it is served, to whom, and what may be done there.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the page is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

fn listen(text: &str) -> Result<Listen, String> {
    match text.strip_prefix("unix:") {
        Some("") => Err("it names no path".to_owned()),
        Some(path) => Ok(Listen::Unix(path.into())),
        None => text.parse().map(Listen::Tcp).map_err(|_| "it is neither ADDRESS:PORT nor unix:/PATH".to_owned()),
    }
}

#[derive(Debug, clap::Args)]
pub struct Ui {
    /// Serve it at this address, until the program is ended. Beyond this machine a token is needed. unix:/PATH: at a socket
    /// of this user's, for a program that passes requests on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7878", value_parser = listen)]
    pub listen: Listen,
    /// The token that people and programs have to show; else STENT_UI_TOKEN has it
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A name that leads here, beside localhost: browsers that ask for another one are refused. May be given more than once
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
    /// The path under which a reverse proxy has it, as /stent
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true, value_parser = base_path)]
    pub base_path: String,
    /// Only look: nothing can be dispatched, signalled, cancelled, resumed, replayed, discarded or paused
    #[arg(long)]
    pub read_only: bool,
    /// Append a line of JSON to this file for each thing that is done; else they go to standard error
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,
}

/// Empty, or as `/stent`: it stands before every address.
fn base_path(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let is_plain =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b));
    match path.strip_prefix('/') {
        None if path.is_empty() => Ok(String::new()),
        Some(parts) if parts.split('/').all(|part| is_plain(part) && part != "." && part != "..") => {
            Ok(path.to_owned())
        }
        _ => Err("it is a path such as /stent, of letters, digits, and - _ . ~".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_served_at_a_port_or_a_socket() {
        assert_eq!(listen("127.0.0.1:0"), Ok(Listen::Tcp("127.0.0.1:0".parse().unwrap())));
        assert_eq!(listen("unix:/run/x.sock"), Ok(Listen::Unix("/run/x.sock".into())));
        assert!(listen("unix:").is_err() && listen("localhost").is_err());
    }

    #[test]
    fn a_base_is_a_plain_path() {
        for (text, path) in [("", ""), ("/", ""), ("/stent", "/stent"), ("/a/b-c/", "/a/b-c")] {
            assert_eq!(base_path(text).as_deref(), Ok(path));
        }
        for text in ["stent", "//evil", "/a//b", "/a b", "/../x", "/<b>", "/a?b"] {
            assert!(base_path(text).is_err(), "{text}");
        }
    }
}
