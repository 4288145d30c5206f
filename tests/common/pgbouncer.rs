//! A PgBouncer of the tests' own in front of a server, in transaction mode: the next transaction of a connection may be
//! on another session of the server. Gone with the process, however that ends.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::postgres::{Server, as_user, user};

pub struct Pooler {
    /// The server's, through the pooler.
    pub url: String,
    folder: PathBuf,
    keeper: Child,
}

impl Pooler {
    /// With so many sessions on the server.
    pub fn new(server: &Server, name: &str, sessions: usize) -> Self {
        let folder = std::env::temp_dir().join(format!("stent-pgbouncer-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {1}/users\npool_mode = transaction\n\
             default_pool_size = {sessions}\nmax_client_conn = 500\n",
            server.port,
            folder.display()
        );
        fs::write(folder.join("settings.ini"), settings).unwrap();
        fs::write(folder.join("users"), "\"stent\" \"\"\n").unwrap();
        let user = user();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let script = "\"$0\" \"$1/settings.ini\" >\"$1/log\" 2>&1 & pooler=$!; read -r line; kill -KILL $pooler; \
                      wait $pooler; rm -rf \"$1\"";
        // A session of its own: what interrupts or ends the tests is not for the keeper, which clears away behind them.
        let mut shell = Command::new("setsid");
        shell.args(["sh", "-c", script]).arg(program()).arg(&folder).current_dir(&folder);
        as_user(&mut shell, user).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = shell.spawn().unwrap();
        let url = format!("postgresql://stent@127.0.0.1:{port}/postgres?statement_cache=0");
        let pooler = Self { url, folder, keeper };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "PgBouncer does not start: {}", pooler.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        pooler
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

/// Debian keeps it where only root looks.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file());
    found.expect("no pgbouncer; scripts/need pgbouncer installs it")
}
