//! `hosts-dir` → the profiles in force. A change is read when it is seen; the last good set stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use netboot::base::problem::Problem;
use netboot::profile::Profiles;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Loaded;

/// How often the folder is looked at.
pub const EVERY: Duration = Duration::from_secs(2);

/// The texts of all profiles, by name: what [`Profiles::read`] takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileTexts {
    pub texts: Vec<(String, String)>,
}

/// The folder `hosts`, of which `hosts_dir` is the folder `profiles`: from there `systemsFrom` reads them. `None` if
/// `hosts_dir` has another name.
pub(super) fn around(hosts_dir: &Path) -> Option<&Path> {
    let hosts = hosts_dir.parent()?;
    let ours = hosts_dir.file_name().is_some_and(|name| name == "profiles");
    ours.then_some(match hosts.as_os_str().is_empty() {
        true => Path::new("."),
        false => hosts,
    })
}

/// Reads `*.toml` in the folder, sorted. Hidden files are left alone: editors keep their drafts there. A folder that
/// does not exist counts as empty.
pub fn read(folder: &Path) -> Result<ProfileTexts, Vec<Problem>> {
    let mut texts = Vec::new();
    let mut problems = Vec::new();
    for path in list(folder).map_err(|error| vec![unreadable(folder, &error)])? {
        match std::fs::read_to_string(&path) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(error) => problems.push(unreadable(&path, &error)),
        }
    }
    if problems.is_empty() {
        Ok(ProfileTexts { texts })
    } else {
        Err(problems)
    }
}

/// The profiles, held also against the configuration; or every problem of both.
pub fn load(config: &Loaded) -> Result<Profiles, Vec<Problem>> {
    let files = read(&config.config.hosts_dir)?;
    let profiles = Profiles::read(&files.texts)?;
    let problems = config.against(&profiles);
    if problems.is_empty() {
        Ok(profiles)
    } else {
        Err(problems)
    }
}

/// Keeps `profiles` at the last good set until `stop`. `reload` asks for a look at once.
pub async fn watch(
    config: Loaded,
    profiles: watch::Sender<Arc<Profiles>>,
    every: Duration,
    reload: Arc<Notify>,
    stop: CancellationToken,
) {
    // Empty at first, so that a change between the start's reading and the first look is not missed.
    let mut before = FolderState::new();
    loop {
        let asked = tokio::select! {
            () = tokio::time::sleep(every) => false,
            () = reload.notified() => true,
            () = stop.cancelled() => return,
        };
        let now = state_of(&config.config.hosts_dir);
        if now == before && !asked {
            continue;
        }
        before = now;
        renew(&config, &profiles);
    }
}

/// Reads the set anew; one with a problem is told, and not taken.
fn renew(config: &Loaded, profiles: &watch::Sender<Arc<Profiles>>) {
    match load(config) {
        Ok(good) if good == **profiles.borrow() => {}
        Ok(good) => {
            tracing::info!(profiles = good.by_name.len(), "profiles read again");
            profiles.send_replace(Arc::new(good));
        }
        Err(problems) => {
            for problem in &problems {
                tracing::warn!(%problem, "problem in the profiles");
            }
            let problems = problems.len();
            tracing::warn!(problems, "the set of profiles from before stays in force");
        }
    }
}

/// What tells that a folder's content changed.
type FolderState = Vec<(PathBuf, Option<SystemTime>, u64)>;

fn state_of(folder: &Path) -> FolderState {
    let of = |path: PathBuf| {
        let meta = std::fs::metadata(&path).ok();
        let changed = meta.as_ref().and_then(|m| m.modified().ok());
        (path, changed, meta.map_or(0, |m| m.len()))
    };
    list(folder)
        .unwrap_or_default()
        .into_iter()
        .map(of)
        .collect()
}

fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|e| e == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let file = path.display().to_string();
    Problem::at(&file, "", &(0..0), format!("cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestConfig, wait_until};

    const LIMIT: Duration = Duration::from_secs(10);

    fn names(set: &watch::Receiver<Arc<Profiles>>) -> Vec<String> {
        let set = set.borrow().clone();
        set.by_name.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn a_mistake_leaves_the_last_good_set() {
        let house = TestConfig::new("");
        let (sender, receiver) = watch::channel(Arc::new(house.checked.profiles.clone()));
        let folder = house.path().join("profiles");
        let good = std::fs::read_to_string(folder.join("worker.toml")).expect("reads");
        std::fs::write(folder.join("more.toml"), "system = 1").expect("writes");
        std::fs::write(folder.join("third.toml"), &good).expect("writes");
        std::fs::remove_file(folder.join("worker.toml")).expect("removes");
        renew(&house.checked.config, &sender);
        assert_eq!(
            names(&receiver),
            ["worker"],
            "nothing of a bad set is taken"
        );
        std::fs::write(folder.join("more.toml"), &good).expect("writes");
        renew(&house.checked.config, &sender);
        assert_eq!(names(&receiver), ["more", "third"]);
    }

    #[tokio::test]
    async fn a_change_is_read_also_after_a_mistake() {
        let house = TestConfig::new("");
        let (sender, receiver) = watch::channel(Arc::new(house.checked.profiles.clone()));
        let (stop, reload) = (CancellationToken::new(), Arc::new(Notify::new()));
        let watching = tokio::spawn(watch(
            house.checked.config.clone(),
            sender,
            Duration::from_millis(5),
            reload.clone(),
            stop.clone(),
        ));
        let names = || names(&receiver);
        assert_eq!(names(), ["worker"]);

        let folder = house.path().join("profiles");
        let good = std::fs::read_to_string(folder.join("worker.toml")).expect("reads");
        std::fs::write(folder.join("more.toml"), &good).expect("writes");
        wait_until("a second profile", LIMIT, || names() == ["more", "worker"]).await;

        std::fs::write(folder.join("more.toml"), "system = 1").expect("writes");
        std::fs::write(folder.join("third.toml"), &good).expect("writes");
        reload.notify_one();
        std::fs::remove_file(folder.join("more.toml")).expect("removes");
        wait_until("the mended set", LIMIT, || names() == ["third", "worker"]).await;

        stop.cancel();
        watching.await.expect("ends");
    }

    #[test]
    fn a_folder_that_is_not_there_holds_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = read(&folder.path().join("none")).expect("nothing is wrong");
        assert_eq!(files, ProfileTexts::default());
        std::fs::create_dir(folder.path().join("a.toml")).expect("makes a folder");
        let problems = read(folder.path()).expect_err("a folder is no file");
        assert_eq!(problems.len(), 1);
    }
}
