//! The command line of `pxe-appliance`: what it takes, what it says, and its exit codes, in `command_line.out`.
//!
//! `UPDATE_EXPECT=1` writes the file anew; the difference is for a person to judge.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use expect_test::expect_file;

/// Loopback is a LAN that is always there.
const CONFIG: &str = "state-dir = \"state\"
hosts-dir = \"profiles\"
[lan]
interface = \"lo\"
address = \"127.0.0.1\"
[dhcp]
mode = \"off\"
";

/// Runs it in the folder, and tells what came of it.
fn run(folder: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pxe-appliance"))
        .args(args)
        .current_dir(folder)
        .output()
        .expect("runs");
    let code = output.status.code().expect("ends by itself");
    let mut text = format!("$ pxe-appliance {}\nexit {code}\n", args.join(" "));
    for (name, octets) in [("stdout", output.stdout), ("stderr", output.stderr)] {
        let said = String::from_utf8(octets).expect("is text");
        if !said.is_empty() {
            let _ = writeln!(text, "--- {name}\n{}", said.trim_end_matches('\n'));
        }
    }
    text.push('\n');
    text.replace(&folder.display().to_string(), "/folder")
}

#[test]
fn what_it_takes_and_how_it_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    std::fs::create_dir(at.join("profiles")).expect("makes a folder");
    std::fs::write(at.join("appliance.toml"), CONFIG).expect("writes");
    let wrong = CONFIG.replace("\"off\"", "\"of\"");
    std::fs::write(at.join("wrong.toml"), wrong).expect("writes");
    let text: String = [
        &["--help"][..],
        &["serve", "--help"],
        &["check", "--help"],
        &["--version"],
        &[],
        &["chek"],
        &["check", "--bogus"],
        &["check"],
        &["check", "--config", "appliance.toml"],
        &["check", "--config", "wrong.toml"],
        &["check", "--config", "absent.toml"],
        &["serve", "--config", "wrong.toml"],
        &["serve", "--config", "absent.toml"],
    ]
    .into_iter()
    .map(|args| run(at, args))
    .collect();
    expect_file!["command_line.out"].assert_eq(&text);
}
