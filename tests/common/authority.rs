//! A server that talks by TLS, and the certificates of its clients.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use crate::postgres::Server;

fn openssl(folder: &Path, line: &str) {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    words.iter_mut().for_each(|word| *word = word.replace('~', " "));
    let made = Command::new("openssl").args(words).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&made.stderr));
}

/// A server that asks the user `stent` for a certificate by `ca.pem`, and talks to him by TLS alone.
pub fn with_authority() -> Server {
    let mut server = Server::new("authority", "");
    server.crash();
    let folder = server.folder.clone();
    openssl(&folder, "req -new -x509 -days 2 -nodes -newkey rsa:2048 -subj /CN=authority -keyout ca.key -out ca.pem");
    for (name, subject) in [("server", "localhost"), ("client", "stent")] {
        fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
        openssl(
            &folder,
            &format!("req -new -nodes -newkey rsa:2048 -subj /CN={subject} -keyout {name}.key -out {name}.csr"),
        );
        openssl(
            &folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out {name}.pem"
            ),
        );
    }
    let owner = fs::metadata(&folder).unwrap();
    for name in ["server.key", "server.pem", "ca.pem"] {
        chown(folder.join(name), Some(owner.uid()), Some(owner.gid())).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let file = folder.join("data/postgresql.conf");
    let mut settings = fs::read_to_string(&file).unwrap();
    let place = folder.display();
    write!(
        settings,
        "ssl = on\nssl_key_file = '{place}/server.key'\nssl_cert_file = '{place}/server.pem'\nssl_ca_file = '{place}/ca.pem'\n"
    )
    .unwrap();
    fs::write(&file, settings).unwrap();
    let file = folder.join("data/pg_hba.conf");
    let trusting = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("hostssl all stent all cert\nhostnossl all stent all reject\n{trusting}")).unwrap();
    server.begin();
    server
}
