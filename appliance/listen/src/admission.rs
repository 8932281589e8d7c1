//! Admission: how much may be under way at once behind one socket, in all and from each source.
//!
//! What is admitted holds a [`Permit`]; dropping it gives its place back.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The rate limit of log lines about refusals: one in this time. A line for each refusal would be part of the flood.
const NEWS: Duration = Duration::from_secs(10);

/// What a limit of its own holds for: an address, a card, all strangers together.
pub trait AdmissionKey: Eq + Hash {
    /// How much of it may be under way at once.
    fn limit(&self) -> usize;
}

/// The limits of one socket, and what is under way behind it.
#[derive(Debug)]
pub struct Admission<S> {
    all: Arc<Semaphore>,
    counts: Mutex<Counts<S>>,
}

#[derive(Debug)]
struct Counts<S> {
    /// The sources that have something under way; the others are not remembered.
    by_source: HashMap<S, usize>,
    /// When a refusal was last news.
    news: Option<Instant>,
}

/// One of the places in all, not yet counted for a source.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// A limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full<S> {
    /// Whose limit it is; absent where it is the one in all.
    pub source: Option<S>,
    /// No refusal was news in the last ten seconds.
    pub is_news: bool,
}

impl<S: AdmissionKey> Admission<S> {
    /// `limit` is how much may be under way in all.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(limit)),
            counts: Mutex::new(Counts {
                by_source: HashMap::new(),
                news: None,
            }),
        })
    }

    /// Waits until there is a place in all. May be dropped at any time.
    pub async fn slot(&self) -> Slot {
        match self.all.clone().acquire_owned().await {
            Ok(permit) => Slot { _permit: permit },
            // Only a closed semaphore refuses, and this one is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Counts what took a slot for all of its sources, or for none if one of them has reached its limit.
    ///
    /// # Errors
    /// The first source that has reached its limit.
    pub fn admit(
        self: &Arc<Self>,
        slot: Slot,
        sources: impl IntoIterator<Item = S>,
    ) -> Result<Permit<S>, Full<S>>
    where
        S: Clone,
    {
        let sources: Vec<S> = sources.into_iter().collect();
        let mut counts = self.counts.lock();
        let under_way = |source: &&S| counts.by_source.get(*source).copied().unwrap_or(0);
        let full = sources.iter().find(|s| under_way(s) >= s.limit());
        if let Some(full) = full.cloned() {
            return Err(counts.refuse(Some(full)));
        }
        for source in &sources {
            *counts.by_source.entry(source.clone()).or_default() += 1;
        }
        Ok(Permit {
            admission: self.clone(),
            sources,
            _slot: slot,
        })
    }

    /// As [`admit`](Self::admit), without waiting for a slot.
    ///
    /// # Errors
    /// The limit in all, or one of the sources', is reached.
    pub fn try_admit(
        self: &Arc<Self>,
        sources: impl IntoIterator<Item = S>,
    ) -> Result<Permit<S>, Full<S>>
    where
        S: Clone,
    {
        match self.all.clone().try_acquire_owned() {
            Ok(permit) => self.admit(Slot { _permit: permit }, sources),
            Err(_) => Err(self.counts.lock().refuse(None)),
        }
    }

    /// How many sources have something under way.
    pub fn sources(&self) -> usize {
        self.counts.lock().by_source.len()
    }

    /// How much more may be admitted in all.
    pub fn free(&self) -> usize {
        self.all.available_permits()
    }
}

impl<S> Counts<S> {
    fn refuse(&mut self, source: Option<S>) -> Full<S> {
        let is_news = self.news.is_none_or(|news| news.elapsed() >= NEWS);
        if is_news {
            self.news = Some(Instant::now());
        }
        Full { source, is_news }
    }
}

/// The right to be under way.
#[derive(Debug)]
pub struct Permit<S: AdmissionKey> {
    admission: Arc<Admission<S>>,
    sources: Vec<S>,
    /// Goes back after the sources are counted down.
    _slot: Slot,
}

impl<S: AdmissionKey> Drop for Permit<S> {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock();
        for source in &self.sources {
            if let Some(count) = counts.by_source.get_mut(source) {
                *count -= 1;
                if *count == 0 {
                    counts.by_source.remove(source);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    enum TestKey {
        Machine(u8),
        Group,
    }

    impl AdmissionKey for TestKey {
        fn limit(&self) -> usize {
            match self {
                Self::Machine(_) => 3,
                Self::Group => 5,
            }
        }
    }

    #[test]
    fn each_source_has_its_limit_and_a_refusal_counts_for_none_of_them() {
        let admission = Admission::new(100);
        let try_admit = |machine| admission.try_admit([TestKey::Machine(machine), TestKey::Group]);
        let mut held: Vec<_> = (0..3).map(|_| try_admit(1).expect("has room")).collect();
        let full = try_admit(1).expect_err("is the fourth");
        assert_eq!(full.source, Some(TestKey::Machine(1)));
        held.extend((0..2).map(|_| try_admit(2).expect("the group has room for 5")));
        let full = try_admit(3).expect_err("is the sixth");
        assert_eq!(full.source, Some(TestKey::Group));
        assert_eq!((admission.sources(), admission.free()), (3, 95));
        let alone = admission.try_admit([TestKey::Machine(3)]);
        assert!(alone.is_ok(), "outside the group");
        drop((held, alone));
        assert_eq!((admission.sources(), admission.free()), (0, 100));
    }

    #[test]
    fn the_limit_in_all_holds_whatever_the_sources() {
        let admission = Admission::new(2);
        let held: Vec<_> = (0..2)
            .map(|n| admission.try_admit([TestKey::Machine(n)]))
            .collect();
        assert!(held.iter().all(Result::is_ok));
        let full = admission.try_admit([TestKey::Machine(9)]);
        assert_eq!(full.expect_err("is the third").source, None);
        drop(held);
        assert!(admission.try_admit([TestKey::Machine(9)]).is_ok());
    }

    #[tokio::test]
    async fn who_waits_for_a_slot_gets_the_next_that_is_given_back() {
        let admission = Admission::new(1);
        let first = admission
            .try_admit([TestKey::Machine(1)])
            .expect("has room");
        let waiting = tokio::spawn({
            let admission = admission.clone();
            async move {
                let slot = admission.slot().await;
                admission.admit(slot, [TestKey::Machine(2)]).is_ok()
            }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(waiting.await.expect("ends"));
    }

    #[test]
    fn a_flood_is_news_once_in_a_while() {
        let admission = Admission::new(1);
        let held = admission
            .try_admit([TestKey::Machine(1)])
            .expect("has room");
        let refused = || {
            admission
                .try_admit([TestKey::Machine(2)])
                .expect_err("full")
        };
        assert!(refused().is_news);
        assert!(!refused().is_news);
        admission.counts.lock().news = Instant::now().checked_sub(NEWS);
        assert!(refused().is_news);
        assert!(!refused().is_news);
        drop(held);
    }
}
