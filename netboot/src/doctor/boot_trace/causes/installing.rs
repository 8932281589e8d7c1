//! Why an installer does not come to its end.

use super::{Cause, Evidence, cause};
use crate::install::report::InstallStep;

pub(super) fn no_claim(case: &Evidence<'_>) -> Vec<Cause> {
    let (ip, port) = (case.setting.address, case.setting.node_port);
    vec![
        cause("the kernel stops: too little RAM (less than 1.5 GiB), or a kernel and an initrd of two builds")
            .tip("look at the screen")
            .tip("pxe-admin doctor"),
        cause("nothing is to be seen because the console is another")
            .tip("in `[images.installer]`, set cmdline = \"console=ttyS0 console=tty0\""),
        cause("the installer has no driver for the network card, or brings up another card than the one with the cable")
            .tip("pull all cables but one; on the console: ip -brief address"),
        cause(format!("TLS does not come through: TCP {port} is closed in the host's firewall"))
            .tip("pxe-admin doctor")
            .tip(format!("from another computer: curl -vk https://{ip}:{port}/")),
        cause("no DHCP server gives the installer an address").tip("pxe-admin doctor"),
    ]
}

pub(super) fn waits(case: &Evidence<'_>) -> Vec<Cause> {
    let title = case.title();
    vec![
        cause("its profile says `wipe = \"ask\"`, it enrolled itself, or the disk is not the one it was installed on before; the machine waits, on or off")
            .tip(format!("see what would be gone: pxe-admin plan {title}"))
            .tip(format!("to have it wiped: pxe-admin confirm {title}"))
            .tip(format!("to leave it as it is: pxe-admin forget {title}")),
    ]
}

pub(super) fn step_hangs(step: InstallStep, case: &Evidence<'_>) -> Vec<Cause> {
    let mut causes = vec![cause("it was switched off, or lost its network").tip(
        "look at its console; switched off and on, it tries again as long as attempts are left",
    )];
    if step == InstallStep::Copy {
        causes.insert(
            0,
            cause("the copy is slow: a port at 100 Mbit/s or less takes minutes for each gigabyte")
                .tip(format!("pxe-admin watch {}", case.title())),
        );
    }
    if matches!(
        step,
        InstallStep::Partition | InstallStep::Format | InstallStep::TearDown | InstallStep::Mount
    ) {
        causes.push(cause("its disk does not answer").tip("on its console: dmesg | tail"));
    }
    causes
}

pub(super) fn failed(said: &[String], case: &Evidence<'_>) -> Vec<Cause> {
    vec![
        cause(said.join(": "))
            .tip("mend it, then switch the machine off and on for another attempt")
            .tip(format!("pxe-admin show {}", case.title())),
    ]
}

pub(super) fn given_up(said: &[String], case: &Evidence<'_>) -> Vec<Cause> {
    let what = match said {
        [] => "no attempt left evidence that it ended well".to_owned(),
        said => said.join(": "),
    };
    let title = case.title();
    vec![
        cause(what)
            .tip(format!("pxe-admin show {title}"))
            .tip(format!("mend the cause, then: pxe-admin reimage {title}")),
    ]
}
