//! A PostgreSQL server of the tests' own: made when the first test asks for it, gone with the process, however that
//! ends. `STENT_TEST_POSTGRES` or `DATABASE_URL` names another one instead.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Kept to the end: when its keeper's standard input closes, the server stops and its folder goes.
pub struct Server {
    pub url: String,
    pub folder: PathBuf,
    pub port: u16,
    keeper: Option<Child>,
}

static SERVER: OnceLock<Server> = OnceLock::new();

static SCHEMAS: AtomicUsize = AtomicUsize::new(0);

/// The URL of a schema that nobody has used yet. `more`: further options, such as `&notify=off`.
pub fn fresh_url(more: &str) -> String {
    schema_of(&shared().url, more)
}

/// A schema on a server that nobody has used yet.
pub fn schema_of(server: &str, more: &str) -> String {
    let number = SCHEMAS.fetch_add(1, Ordering::Relaxed);
    let joint = if server.contains('?') { '&' } else { '?' };
    format!("{server}{joint}schema=test_{}_{number}&min_size=0&max_size=6{more}", std::process::id())
}

/// The server of this process's tests.
pub fn shared() -> &'static Server {
    SERVER.get_or_init(|| {
        let given = ["STENT_TEST_POSTGRES", "DATABASE_URL"].iter().find_map(|name| std::env::var(name).ok());
        match given {
            Some(url) => Server::elsewhere(url),
            None => Server::new("shared", ""),
        }
    })
}

#[allow(dead_code, reason = "not every test program stops its server")]
impl Server {
    /// One that runs already, and goes on running.
    pub fn elsewhere(url: String) -> Self {
        Self { url, folder: PathBuf::new(), port: 0, keeper: None }
    }

    /// True: it was made here, and ends here.
    pub fn is_ours(&self) -> bool {
        self.keeper.is_some()
    }

    /// A new server of one's own, with further settings. Tests end processes and never the machine, so what was written
    /// is there without a wait for the disk.
    pub fn new(name: &str, settings: &str) -> Self {
        let folder = spacious().join(format!("stent-postgres-{}-{name}", std::process::id()));
        Self::at(folder, &format!("fsync = off\nmax_wal_size = 128MB\n{settings}"))
    }

    /// The same, in a folder of its own.
    pub fn at(folder: PathBuf, settings: &str) -> Self {
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        let user = user();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let data = folder.join("data");
        make_data(&folder, &data, user);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // What a killed server shares between its processes goes with its folder.
        let settings = format!(
            "listen_addresses = 'localhost'\nport = {port}\nunix_socket_directories = '{}'\nmax_connections = 300\n\
             dynamic_shared_memory_type = mmap\ndeadlock_timeout = 200ms\nlog_min_messages = warning\n{settings}\n",
            folder.display()
        );
        fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .and_then(|mut file| file.write_all(settings.as_bytes()))
            .unwrap();
        let url = format!("postgresql://stent@127.0.0.1:{port}/postgres");
        let mut server = Self { url, folder, port, keeper: None };
        server.begin();
        server
    }

    /// Starts it, for the first time or again.
    pub fn begin(&mut self) {
        let bin = binaries();
        self.keeper = Some(keep(&bin, &self.folder, user()));
        let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let begin = Instant::now();
        while !is_ready(&bin, self.port) {
            assert!(begin.elapsed() < Duration::from_secs(60), "PostgreSQL does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// From its next start on at another port, as a server is that takes over.
    pub fn move_away(&mut self) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = self.folder.join("data/postgresql.conf");
        fs::OpenOptions::new()
            .append(true)
            .open(file)
            .and_then(|mut file| file.write_all(format!("port = {port}\n").as_bytes()))
            .unwrap();
        self.url = self.url.replace(&format!(":{}/", self.port), &format!(":{port}/"));
        self.port = port;
    }

    /// Sends a signal to each of its processes: every session is a group of its own.
    pub fn signal(&self, signal: &str) {
        let main = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let main = main.lines().next().unwrap().to_owned();
        let parent = format!("PPid:\t{main}");
        let children = fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            status.lines().any(|line| line == parent)
        });
        // The main process first: it would end its children, or make new ones.
        let all = [main.clone()].into_iter().chain(children.map(|entry| entry.file_name().into_string().unwrap()));
        for process in all.collect::<Vec<_>>() {
            // One may have ended by itself.
            drop(Command::new("kill").arg(format!("-{signal}")).arg(process).stderr(Stdio::null()).status());
        }
    }

    /// Ends it as the loss of power would.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.crash();
    }

    /// Ends it as a crash would, and keeps what it has written.
    pub fn crash(&mut self) {
        let Some(mut keeper) = self.keeper.take() else { return };
        keeper.stdin.take().unwrap().write_all(b"stay\n").unwrap();
        keeper.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            drop(keeper.wait());
        } else if self.port != 0 {
            // Stopped by a test that did not start it again.
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// Memory, where there is plenty of it: a schema is some hundred files, and a disk's file system asks a third more of a
/// processor for them. `scripts/with-postgres` does the same.
fn spacious() -> PathBuf {
    const GIB: u64 = 1 << 30;
    let room = |place: &Path| rustix::fs::statvfs(place).map_or(0, |room| room.f_bavail * room.f_frsize);
    let memory = Path::new("/dev/shm");
    let known = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = known.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib: u64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    let is_plenty = room(memory) >= 4 * GIB && kib * 1024 >= 8 * GIB;
    if is_plenty && std::env::var_os("TMPDIR").is_none() { memory.to_owned() } else { std::env::temp_dir() }
}

/// What `initdb` makes costs half a second of a processor, and is the same each time: it is made once for each version
/// and copied from then on.
fn make_data(folder: &Path, data: &Path, user: Option<(u32, u32)>) {
    const HOW: &[&str] = &["--no-sync", "--auth=trust", "--username=stent", "--encoding=UTF8", "--locale=C"];
    let program = binaries().join("initdb");
    let version = output(Command::new(&program).arg("--version"));
    let key = format!("{} {} {user:?}", version.trim(), HOW.join(" "));
    let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    // tmp/ of the target folder, of which cargo tells the library's own tests nothing.
    let temporary = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let made = temporary.join(name);
    let copy = |from: &Path, to: &Path| output(Command::new("cp").arg("-a").arg(from).arg(to));
    if made.is_dir() {
        copy(&made, data);
        return;
    }
    output(as_user(Command::new(program).args(HOW).arg("-D").arg(data), user).current_dir(folder));
    // Whole or not at all: others may be looking for it, or making it too.
    let mine = made.with_file_name(folder.file_name().unwrap());
    copy(data, &mine);
    if fs::rename(&mine, &made).is_err() {
        fs::remove_dir_all(&mine).unwrap();
    }
}

/// Runs a command to its end, which must be a good one; what it printed.
fn output(command: &mut Command) -> String {
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

/// The shell has the server as its child and waits for the end of its input, which comes with the end of this process.
fn keep(bin: &Path, folder: &Path, user: Option<(u32, u32)>) -> Child {
    let script = "\"$0\" -D \"$1/data\" >>\"$1/log\" 2>&1 & server=$!; read -r line; kill -QUIT $server; wait $server; \
                  [ \"$line\" = stay ] || rm -rf \"$1\"";
    // A session of its own: what interrupts or ends the tests is not for the keeper, which clears away behind them.
    let mut shell = Command::new("setsid");
    shell.args(["sh", "-c", script]).arg(bin.join("postgres")).arg(folder).current_dir(folder);
    as_user(&mut shell, user).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().unwrap()
}

fn is_ready(bin: &Path, port: u16) -> bool {
    let port = port.to_string();
    let mut ready = Command::new(bin.join("pg_isready"));
    ready.args(["-q", "-h", "127.0.0.1", "-p", &port, "-U", "stent", "-d", "postgres"]);
    ready.status().is_ok_and(|status| status.success())
}

/// PostgreSQL does not run as root. `None`: we are somebody else already.
pub fn user() -> Option<(u32, u32)> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    if uid.split_whitespace().nth(1) != Some("0") {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    ["postgres", "nobody"].iter().find_map(|name| {
        let fields: Vec<&str> = passwd.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|f| f[0] == *name)?;
        Some((fields[2].parse().ok()?, fields[3].parse().ok()?))
    })
}

pub fn as_user(command: &mut Command, user: Option<(u32, u32)>) -> &mut Command {
    match user {
        Some((uid, gid)) => command.uid(uid).gid(gid),
        None => command,
    }
}

/// The newest that is installed.
fn binaries() -> PathBuf {
    let version =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path()).filter(|path| version(path).is_some()).collect())
        .unwrap_or_default();
    found.sort_by_key(version);
    match found.pop() {
        Some(path) => path.join("bin"),
        None => panic!("no PostgreSQL in /usr/lib/postgresql; scripts/need postgres installs it"),
    }
}
