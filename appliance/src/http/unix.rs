//! HTTP over the admin socket. Who may open the file may command; who did is on record.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use axum::Router;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::accept::accept_all;
use super::connection;

/// Connections at once: operators and their scripts.
const CONNECTIONS: usize = 64;

/// Owner and group may command, and no other user.
const MODE: u32 = 0o660;

/// Who is at the other end of a connection, and when the service stops: a call that follows events has no
/// other end.
#[derive(Debug, Clone)]
pub struct LocalCaller {
    pub uid: u32,
    pub stop: CancellationToken,
}

/// A bound admin socket; its file goes when this does.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Binds `path`, taking the place of a file that a killed appliance left.
    ///
    /// # Errors
    /// Another process answers there, something that is no socket is in the way, or the OS says no.
    pub fn bind(path: &Path) -> io::Result<Self> {
        refuse_if_taken(path)?;
        // The socket is made beside and moved into place, so that the final name never has another mode and is never
        // absent.
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        let listener = UnixListener::bind(&beside)?;
        let placed = std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(MODE))
            .and_then(|()| std::fs::rename(&beside, path));
        if let Err(error) = placed {
            let _ = std::fs::remove_file(&beside);
            return Err(error);
        }
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "could not remove the admin socket");
        }
    }
}

fn refuse_if_taken(path: &Path) -> io::Result<()> {
    let file = match std::fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is not a socket has this name",
        ));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process answers there",
        )),
        Err(_) => Ok(()),
    }
}

/// Serves until `stop` is cancelled, then lets calls in flight end for [`connection::GRACE`].
///
/// # Errors
/// The listener itself is broken; a client's fault is none.
pub async fn serve_unix(
    socket: AdminSocket,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    accept_all(&socket.listener, CONNECTIONS, &stop, |stream, _| {
        let caller = caller(&stream, &stop);
        let (router, stop) = (router.clone(), stop.child_token());
        async move {
            if let Some(caller) = caller {
                connection::serve_from(stream, caller, router, stop).await;
            }
        }
    })
    .await
}

/// The caller by its credentials; `None` if there are none, and then there is no call.
fn caller(stream: &UnixStream, stop: &CancellationToken) -> Option<LocalCaller> {
    match stream.peer_cred() {
        Ok(credentials) => Some(LocalCaller {
            uid: credentials.uid(),
            stop: stop.clone(),
        }),
        Err(error) => {
            tracing::warn!(%error, "a caller on the admin socket has no credentials");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::extract::ConnectInfo;
    use axum::routing::get;

    use super::*;

    async fn who(ConnectInfo(caller): ConnectInfo<LocalCaller>) -> String {
        caller.uid.to_string()
    }

    fn router() -> Router {
        Router::new().route("/who", get(who))
    }

    async fn ask(path: &Path) -> reqwest::Result<String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().unix_socket(path).no_proxy();
        let answer = client.build()?.get("http://appliance/who").send().await?;
        answer.text().await
    }

    #[tokio::test]
    async fn callers_are_known_and_the_file_is_for_owner_and_group() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin.sock");
        let stop = CancellationToken::new();
        let socket = AdminSocket::bind(&path).expect("binds");
        let mode = std::fs::metadata(&path)
            .expect("is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o660);
        assert_eq!(std::fs::read_dir(&folder).expect("reads").count(), 1);

        let served = tokio::spawn(serve_unix(socket, router(), stop.clone()));
        let uid = ask(&path).await.expect("an answer");
        assert_eq!(uid, nix::unistd::getuid().to_string());

        stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(2), served).await;
        ended
            .expect("stops in 2 s")
            .expect("no panic")
            .expect("no fault");
        assert!(!path.exists(), "the file goes with the service");
    }

    #[tokio::test]
    async fn a_file_left_by_a_killed_appliance_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
        let socket = AdminSocket::bind(&path).expect("takes the place of the dead one");

        let error = AdminSocket::bind(&path).expect_err("one is alive");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(socket);

        std::fs::write(&path, "precious").expect("writes");
        let error = AdminSocket::bind(&path).expect_err("a file is in the way");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).expect("still there"), b"precious");
    }
}
