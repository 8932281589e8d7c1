//! The socket is absent, or what answers there is garbage, too slow, or gone: what the failure says, and whether the command may
//! have been carried out.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use netboot::api::types::MachineList;
use serde_json::{Value, json};

use super::*;

/// An "appliance" that reads a request and answers with these bytes, or hangs up.
struct FakeAppliance {
    folder: tempfile::TempDir,
}

impl FakeAppliance {
    fn answering(bytes: &'static [u8]) -> Self {
        Self::acting(move |stream| {
            let _ = stream.write_all(bytes);
        })
    }

    fn acting(act: impl Fn(&mut std::os::unix::net::UnixStream) + Send + 'static) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("s")).expect("binds");
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                act(&mut stream);
            }
        });
        Self { folder }
    }

    fn client(&self) -> AdminClient {
        client(self.folder.path().join("s")).impatient(Duration::from_millis(300))
    }
}

fn client(socket: PathBuf) -> AdminClient {
    AdminClient::new(Endpoint::Socket(socket)).expect("a client")
}

async fn asked(client: &AdminClient) -> crate::failure::ErrorNotice {
    let failure = client.get::<MachineList>(&["machines"]).await.err();
    failure.expect("no answer").notice().expect("words")
}

async fn commanded(client: &AdminClient) -> crate::failure::ErrorNotice {
    let failure = client
        .post::<_, Value>(&["enroll"], &json!({}), None, "enrolled 52:54:00:12:34:56")
        .await
        .err();
    failure.expect("no answer").notice().expect("words")
}

#[tokio::test]
async fn nobody_there_means_nothing_was_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let absent = client(folder.path().join("absent"));
    let notice = commanded(&absent).await;
    assert_eq!((notice.exit, notice.code.as_str()), (3, "unreachable"));
    assert_eq!(
        notice.facts,
        ["cause: there is no such socket", "nothing was sent"]
    );

    let stale = folder.path().join("stale");
    drop(UnixListener::bind(&stale).expect("binds"));
    let notice = commanded(&client(stale)).await;
    assert_eq!(
        notice.facts,
        ["cause: connection refused", "nothing was sent"]
    );
    assert_eq!(
        notice.tips[0],
        "on the appliance, run `systemctl status pxe-appliance`"
    );
}

#[tokio::test]
async fn a_command_without_an_answer_may_have_been_carried_out() {
    let silent = FakeAppliance::acting(|stream| {
        let _ = stream.read(&mut [0; 1]);
    });
    let notice = commanded(&silent.client()).await;
    assert_eq!((notice.exit, notice.code.as_str()), (3, "timeout"));
    assert_eq!(
        notice.facts,
        ["it may or may not have enrolled 52:54:00:12:34:56"]
    );

    let hangs_up = FakeAppliance::acting(|_| ());
    let notice = commanded(&hangs_up.client()).await;
    assert_eq!((notice.exit, notice.code.as_str()), (3, "cut"));
    assert_eq!(
        notice.facts,
        ["it may or may not have enrolled 52:54:00:12:34:56"]
    );

    let breaks_off =
        FakeAppliance::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"machine");
    let notice = commanded(&breaks_off.client()).await;
    assert_eq!((notice.exit, notice.code.as_str()), (3, "cut"));
}

#[tokio::test]
async fn a_question_without_an_answer_changed_nothing() {
    let hangs_up = FakeAppliance::acting(|_| ());
    let notice = asked(&hangs_up.client()).await;
    assert_eq!(notice.facts, ["nothing was changed"]);
}

#[tokio::test]
async fn what_is_no_appliance_is_called_so() {
    for (name, bytes) in [
        ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n".as_slice()),
        (
            "a web page",
            b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n<html>hi</html>",
        ),
        (
            "other JSON",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        ),
        (
            "an error without a reason",
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nnot found",
        ),
    ] {
        let fake = FakeAppliance::answering(bytes);
        let notice = asked(&fake.client()).await;
        assert_eq!(
            (notice.exit, notice.code.as_str()),
            (3, "not_an_appliance"),
            "{name}: {notice:?}"
        );
    }
}

#[tokio::test]
async fn a_fault_of_the_appliance_is_no_refusal() {
    let fake = FakeAppliance::answering(
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 66\r\n\r\n{\"error\":{\"code\":\"store_unavailable\",\"message\":\"cannot write\"}}    ",
    );
    let notice = commanded(&fake.client()).await;
    assert_eq!(
        (notice.exit, notice.code.as_str()),
        (3, "store_unavailable")
    );
}

#[test]
fn a_path_cannot_leave_its_place() {
    let call = AdminCall::new(Method::GET, &["machines", "a/../b?x#y", "plan"]);
    assert_eq!(
        call.to_string(),
        "GET /admin/v1/machines/a%2F..%2Fb%3Fx%23y/plan"
    );
}
