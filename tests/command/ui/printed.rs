//! What docs/ui.md prints for a shell, for nginx and of the audit log, run and compared as it stands there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::served::Served;
use crate::house::{House, postgres, run, sqlite, until};
use crate::shell::{blocks, works};

const PAGE: &str = "docs/ui.md";

/// The proxy, with the page's lines, at a socket in its folder.
struct Nginx {
    child: Child,
    socket: PathBuf,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Nginx {
    fn new(folder: &Path, lines: &str) -> Self {
        let (socket, settings) = (folder.join("nginx.sock"), folder.join("nginx.conf"));
        let place = folder.display();
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let folders: String = kinds.map(|kind| format!("{kind}_temp_path {place}/{kind};\n")).concat();
        let user =
            if Path::new("/root").metadata().is_ok_and(|_| fs::read_dir("/root").is_ok()) { "user root;" } else { "" };
        let text = format!(
            "daemon off; master_process off; {user} pid {place}/nginx.pid; events {{}}\nhttp {{ access_log off; {folders}\n\
             server {{ listen unix:{}; {lines} }} }}\n",
            socket.display()
        );
        fs::write(&settings, text).unwrap();
        let program =
            ["/usr/sbin/nginx", "nginx"].into_iter().find(|path| *path == "nginx" || Path::new(path).exists());
        let mut nginx = Command::new(program.unwrap());
        nginx.args(["-e", "stderr", "-c"]).arg(&settings).stderr(Stdio::inherit());
        let child = nginx.spawn().expect("nginx can't be run; install it (apt: nginx-light)");
        let made = Self { child, socket };
        until("the proxy listens", || made.socket.exists());
        made
    }
}

/// An answer of the API: one object.
fn object(said: &str) -> Value {
    let value: Value = serde_json::from_str(said).unwrap_or_else(|why| panic!("{why}: {said}"));
    assert!(value.is_object() && value.get("error").is_none(), "{said}");
    value
}

#[test]
fn the_pages_lines_serve_it_protect_it_and_ask_it() {
    let house = House::new(sqlite);
    house.exhibit();
    let _worker = house.furnish();
    let folder = Path::new(&house.url).parent().unwrap().to_owned();
    house.say(&["backup", folder.join("workflow.db").to_str().unwrap()]).ok();
    let (database, _) = postgres();
    run(&["--db", &database, "init"]).ok();
    fs::create_dir(folder.join("stent")).unwrap();
    let at_home = |lines: &str| {
        let here = lines.replace("/etc/stent", folder.join("stent").to_str().unwrap());
        here.replace("postgresql://stent@db/app", &format!("'{database}'"))
    };
    let [serve, token, ask, act, within] = blocks(PAGE, "sh").try_into().expect("five blocks");
    works(&folder, &at_home(&serve));
    works(&folder, &within.replace("/run/app", folder.to_str().unwrap()));
    assert!(!folder.join("stent.sock").exists(), "it takes its socket away");
    works(&folder, &at_home(&token));
    let token = folder.join("stent/ui.token");
    assert_eq!(fs::read_to_string(&token).unwrap().trim().len(), 64);

    let served = Served::new(&house, &[]);
    let file = token.to_str().unwrap();
    let guarded = Served::new(&house, &["--token-file", file, "--base-path", "/stent", "--host", "stent.example.com"]);
    let [lines] = blocks(PAGE, "nginx").try_into().expect("one block");
    let proxy = Nginx::new(&folder, &lines.replace("127.0.0.1:7878", &guarded.address));
    let through = format!("--unix-socket {} http://stent.example.com", proxy.socket.display());
    let ask = at_home(&ask).replace("127.0.0.1:7878", &served.address).replace("https://stent.example.com", &through);
    let [failed, overview] = <[&str; 2]>::try_from(ask.lines().collect::<Vec<_>>()).expect("two lines");
    assert_eq!(object(&works(&folder, failed))["executions"].as_array().unwrap().len(), 1);
    object(&works(&folder, overview));
    let without = overview.replace("Bearer ", "Bearer x");
    let refused: Value = serde_json::from_str(&works(&folder, &without)).unwrap();
    assert!(refused.get("error").is_some(), "the proxy does not open what is closed: {refused}");

    let said = object(&works(&folder, &act.replace("127.0.0.1:7878", &served.address)));
    let id = said["ids"][0].as_str().unwrap().to_owned();
    assert_eq!(house.say(&["wait", &id]).ok().out.trim(), "\"shipped\"");

    // Each line of the log has what the page's has.
    let [line] = blocks(PAGE, "json").try_into().expect("one block");
    let fields = |line: &Value| line.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let printed = fields(&serde_json::from_str(&line).unwrap());
    let audit = served.audit();
    assert!(!audit.is_empty() && audit.iter().all(|line| fields(line) == printed), "{printed:?}: {audit:?}");
}
