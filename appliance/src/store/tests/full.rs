//! A full filesystem: no write is acknowledged, none is lost, and the store goes on by itself once there is space.

use std::process::Command;

use netboot::base::refusal::RefusalCode;

use super::*;

/// A filesystem of a few megabytes, unmounted at the end.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("needs root to mount a tmpfs".to_owned());
        }
        let dir = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(dir.path())
            .status();
        match mounted {
            Ok(status) if status.success() => Ok(Self(dir)),
            other => Err(format!("cannot mount a tmpfs here: {other:?}")),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }

    /// Takes all space that is left.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.ballast())
            .expect("opens");
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_heals() {
    let small = match Small::mount() {
        Ok(small) => small,
        Err(why) => return crate::testing::skipped(&why),
    };
    let dir = small.0.path().join("state");
    let store = open(&dir);
    let (mut told, mut told_leases) = (BTreeSet::new(), 0);
    for n in 0..50 {
        note(&store, n).await.expect("is written");
        lease(&store, u32::try_from(n).expect("few"))
            .await
            .expect("is written");
        told.insert(n);
        told_leases += 1;
    }
    small.fill();
    let (mut n, mut refused) = (1000, 0);
    wait_until("writes are refused on a full disk", async || {
        small.fill();
        n += 1;
        match note(&store, n).await {
            Ok(_) => _ = told.insert(n),
            Err(refusal) => {
                assert_eq!(refusal.code, RefusalCode::StoreUnavailable, "{refusal}");
                refused += 1;
            }
        }
        refused > 20
    })
    .await;
    let trouble = store.trouble().expect("says so");
    assert!(
        trouble.contains("No space left") || trouble.contains("full"),
        "{trouble}"
    );
    assert_eq!(
        all(noted(&store)),
        told,
        "reads go on, and the refused are not there"
    );
    let asked = store.decide(|state, _| Decided {
        answer: Ok(state.machines.len()),
        events: Vec::new(),
    });
    assert_eq!(asked.await.expect("questions are answered").answer, 20);
    let mut m = 60;
    wait_until("leases are refused on a full disk", async || {
        m += 1;
        let put = lease(&store, m).await;
        told_leases += usize::from(put.is_ok());
        put.is_err()
    })
    .await;
    let known = leases(&store).await.by_address().clone();
    assert_eq!(
        known.len(),
        told_leases,
        "known leases can be read, the refused one is not among them"
    );

    std::fs::remove_file(small.ballast()).expect("removes");
    wait_until("writes work again", async || {
        n += 1;
        let wrote = note(&store, n).await.is_ok();
        if wrote {
            told.insert(n);
        }
        wrote && lease(&store, 55).await.is_ok()
    })
    .await;
    wait_until("the trouble is over", async || store.trouble().is_none()).await;
    assert_eq!(all(noted(&store)), told);
    let known = leases(&store).await.by_address().clone();
    store.close().await;
    let store = open(&dir);
    assert_eq!(all(noted(&store)), told, "after opening again");
    assert_eq!(
        *leases(&store).await.by_address(),
        known,
        "after opening again"
    );
    store.close().await;
}

#[tokio::test]
async fn a_store_on_a_full_disk_opens_for_reading() {
    let small = match Small::mount() {
        Ok(small) => small,
        Err(why) => return crate::testing::skipped(&why),
    };
    let dir = small.0.path().join("state");
    filled(&dir, 30).await;
    small.fill();
    let store = open(&dir);
    assert_eq!(noted(&store), (0..30).collect::<Vec<_>>());
    std::fs::remove_file(small.ballast()).expect("removes");
    wait_until("it takes writes again", async || {
        store.trouble().is_none() && lease(&store, 7).await.is_ok()
    })
    .await;
    assert_eq!(leases(&store).await.by_address().len(), 30);
    assert_eq!(
        aside(&dir),
        Vec::<PathBuf>::new(),
        "a full disk is no damage"
    );
    store.close().await;
}
