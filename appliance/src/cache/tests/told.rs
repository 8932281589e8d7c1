//! What the caller of a publication is told of its progress.

use super::*;

#[tokio::test]
async fn a_copy_tells_how_many_bytes_have_come() {
    let names = ["told-0", "told-1", "told-2", "told-3"];
    let toplevel = match system_of("told", &names) {
        Ok(toplevel) => toplevel,
        Err(why) => return skipped(&why),
    };
    let kept = Kept::new();
    assert_eq!(kept.cache.copying(), None);
    let mut told = Vec::new();
    let (cache, publishing) = (kept.cache.clone(), kept.publish(&toplevel));
    let mut publishing = std::pin::pin!(publishing);
    let mut look = tokio::time::interval(std::time::Duration::from_millis(1));
    let measured = loop {
        tokio::select! {
            measured = &mut publishing => break measured,
            _ = look.tick() => told.extend(cache.copying()),
        }
    };
    assert_eq!(kept.cache.copying(), None, "it is over");
    let rises = told.windows(2).all(|two| two[0].done <= two[1].done);
    assert!(rises, "{told:?}");
    for copying in &told {
        assert_eq!(copying.toplevel, toplevel);
        assert_eq!(copying.total, measured.closure_size);
    }
    let last = told.last().expect("it was told");
    assert!(last.done > last.total / 2, "{last:?}");
}
