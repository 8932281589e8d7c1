//! What is printed of the appliance, good and bad, and of a machine.

use expect_test::expect;
use netboot::base::timestamp::Timestamp;
use netboot::doctor::boot_trace::Boot;
use netboot::doctor::checks;

use super::*;

#[test]
fn an_appliance_with_problems_names_each_and_what_to_do() {
    let interface = checks::ServedInterface {
        name: "enp1s0".to_owned(),
        address: "10.77.0.1/24".to_owned(),
        exists: true,
        has_address: true,
        carrier: Some(true),
    };
    let loader = |name, present| checks::LoaderFile {
        name,
        for_whom: "machines that boot in BIOS mode get no loader",
        present,
    };
    let loaders = [loader("snponly.efi", true), loader("undionly.kpxe", false)];
    let cached = checks::Cached {
        release: "release 3 of `worker`".to_owned(),
        fault: Some("its NAR is not in the cache".to_owned()),
        system: "worker".to_owned(),
    };
    let checkup = DoctorReport {
        checks: vec![
            checks::lan(&[interface]),
            checks::loaders(&loaders, "/usr/lib/ipxe"),
            checks::cache(&[cached], &[]),
        ],
    };
    let answer = of_the_appliance(&checkup);
    assert_eq!(answer.exit, 1);
    assert_eq!(answer.notes, ["1 problem, 1 warning"]);
    expect![[r#"
        ok       lan      `enp1s0` has 10.77.0.1/24
        warning  loaders  snponly.efi
                          `undionly.kpxe` is missing: machines that boot in BIOS mode get no loader
                          tip: put it into `/usr/lib/ipxe`, then systemctl restart pxe-appliance
        problem  cache    release 3 of `worker`: its NAR is not in the cache
                          tip: pxe-admin publish worker"#]]
    .assert_eq(&answer.text);

    let fine = DoctorReport {
        checks: checkup.checks[..1].to_vec(),
    };
    let answer = of_the_appliance(&fine);
    assert_eq!((answer.exit, answer.notes), (0, Vec::new()));
    let warned = DoctorReport {
        checks: checkup.checks[..2].to_vec(),
    };
    let answer = of_the_appliance(&warned);
    assert_eq!(
        (answer.exit, answer.notes),
        (0, vec!["1 warning".to_owned()])
    );
}

#[test]
fn a_machine_is_well_or_under_way_or_stuck() {
    let boots = |finding| BootsAnswer {
        title: "node1".to_owned(),
        boots: vec![Boot::default()],
        finding,
    };
    let well = Finding::Well {
        why: "it joined the cluster".to_owned(),
    };
    let answer = of_a_machine(&boots(well));
    assert_eq!(
        (answer.exit, answer.text.as_str()),
        (0, "node1 is well: it joined the cluster")
    );
    let under_way = Finding::UnderWay {
        awaited: "the rest of kernel and initrd".to_owned(),
        quiet: 12,
        patience: 900,
    };
    let answer = of_a_machine(&boots(under_way));
    assert_eq!(answer.exit, 0);
    assert!(
        answer
            .text
            .ends_with("(quiet for 12 s; up to 900 s are usual)"),
        "{}",
        answer.text
    );
    let stuck = Finding::Stuck(Diagnosis {
        after: "the whole boot loader went out".to_owned(),
        missing: "the loader never asked for anything".to_owned(),
        since: Some(Timestamp::from_millis(1_775_124_847_000)),
        causes: vec![
            Cause {
                what: "Secure Boot refused it".to_owned(),
                tips: vec!["switch it off".to_owned()],
            },
            Cause {
                what: "it hangs".to_owned(),
                tips: Vec::new(),
            },
        ],
    });
    let answer = of_a_machine(&boots(stuck));
    assert_eq!(answer.exit, 1);
    expect![[r#"
        node1 is stuck, since 2026-04-02 10:14:07 UTC: the whole boot loader went out; the loader never asked for anything
        usual causes, and what to try
          1. Secure Boot refused it
             tip: switch it off
          2. it hangs"#]].assert_eq(&answer.text);
}
