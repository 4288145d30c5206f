//! Where connections come in: a port of this machine, or a socket in the file system.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use rustix::fs::Mode;
use rustix::process::umask;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::args::Listen;

pub trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

pub enum Gate {
    Tcp(TcpListener),
    /// The socket's file goes with it.
    Unix(UnixListener, PathBuf),
}

/// Who has connected, for the log.
pub type Remote = String;

impl Gate {
    pub async fn open(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Listen::Unix(path) => socket(path).await.map(|listener| Self::Unix(listener, path.clone())),
        }
    }

    /// As people and programs are told of it.
    pub fn address(&self, base: &str) -> io::Result<String> {
        Ok(match self {
            Self::Tcp(listener) => format!("http://{}{base}/", listener.local_addr()?),
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        })
    }

    pub async fn accept(&self) -> io::Result<(Pin<Box<dyn Stream>>, Remote)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, remote) = listener.accept().await?;
                // What is sent is small, and waited for.
                let _slower = stream.set_nodelay(true);
                Ok((Box::pin(stream), remote.to_string()))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let who =
                    stream.peer_cred().map_or_else(|_| "unix".to_owned(), |who| format!("unix uid {}", who.uid()));
                Ok((Box::pin(stream), who))
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // Somebody else may have taken it away.
            let _gone = std::fs::remove_file(path);
        }
    }
}

/// Only its user may connect. What a program that was killed has left is taken away; what somebody listens at is not.
async fn socket(path: &Path) -> io::Result<UnixListener> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    // Not after it is there: somebody could be quicker.
    let before = umask(Mode::RWXG | Mode::RWXO);
    let listener = UnixListener::bind(path);
    umask(before);
    listener
}
