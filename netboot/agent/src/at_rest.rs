//! Waits until no more disks show: an inventory that is made too early lacks the disks that show late.

use std::time::Duration;

use crate::access::{ReadAccess, Roots};
use crate::disk_facts;

/// How long the set of disks must stay the same. Disks behind one controller show one after the other.
const REST: Duration = Duration::from_secs(3);

/// The longest wait for that: a disk that comes and goes must not hold the install up.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until the same disks have shown for a while.
pub(crate) fn at_rest(access: &mut dyn ReadAccess, roots: &Roots) {
    let until = access.elapsed() + LIMIT;
    let mut seen = disk_facts::all(roots);
    let mut since = access.elapsed();
    while access.elapsed() < until.min(since + REST) {
        access.sleep(Duration::from_millis(500));
        let now = disk_facts::all(roots);
        if now != seen {
            seen = now;
            since = access.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use netboot::disk::hardware::Firmware;

    use super::*;
    use crate::fake::{DiskSpec, FakeMachine};

    #[test]
    fn it_waits_for_the_last_disk_and_not_for_ever() {
        fn next(fake: &mut FakeMachine) {
            let now = fake.elapsed().as_secs();
            fake.write("sys/block/vdb/serial", &now.to_string());
            fake.at(now + 1, next);
        }
        let mut fake = FakeMachine::machine(Firmware::Uefi);
        let roots = fake.roots();
        at_rest(&mut fake, &roots);
        assert_eq!(fake.elapsed(), REST);
        fake.at(5, |fake| {
            fake.add_disk(&DiskSpec::virtio("vdc", 1 << 30, "late"));
        });
        at_rest(&mut fake, &roots);
        assert_eq!(fake.elapsed(), Duration::from_secs(5) + REST);
        fake.at(9, next);
        at_rest(&mut fake, &roots);
        assert_eq!(fake.elapsed(), Duration::from_secs(8) + LIMIT);
    }
}
