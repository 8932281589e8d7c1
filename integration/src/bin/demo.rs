//! The demo: a blank machine is powered on, and a joined node comes out, told in plain lines with times.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Parser, ValueEnum};
use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware;
use integration::lab::lan::{APPLIANCE, CLUSTER, ROUTER};
use integration::lab::nvram::FirstBoot;
use integration::lab::services::DhcpSetup;
use integration::lab::testbed::{BOOT, MAC, Setup, Testbed};
use netboot::machine::State;

/// Powers on a blank machine on a LAN of network namespaces, and shows how it becomes a node
#[derive(Parser)]
struct Options {
    /// The machine's firmware
    #[arg(long, value_enum, default_value_t = VmFirmware::Uefi)]
    firmware: VmFirmware,
    /// Beside a home router that hands out addresses, or in its place
    #[arg(long, value_enum, default_value_t = DemoMode::Proxy)]
    mode: DemoMode,
    /// Leave it all running at the end, and say how to look around
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DemoMode {
    Proxy,
    Server,
}

fn main() -> ExitCode {
    let Err(error) = run(&Options::parse()) else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

fn run(options: &Options) -> anyhow::Result<()> {
    let leases = match options.mode {
        DemoMode::Proxy => DhcpSetup::ByRouter,
        DemoMode::Server => DhcpSetup::ByAppliance,
    };
    let mut setup = Setup::new("demo", options.firmware, leases);
    setup.disks = |dir| {
        Ok(vec![VirtualDisk::blank(
            dir.join("root.disk"),
            "root",
            8192,
        )?])
    };
    // As most boxes come out of the shop. With the network first, OVMF spends a minute on unanswered PXE
    // before each boot from its disk; the end-to-end tests take that minute.
    setup.first = FirstBoot::Disk;
    let mut demo = Demo {
        testbed: Testbed::new(&setup)?,
        start: Instant::now(),
    };
    let told = demo.tell(options);
    demo.testbed.keep = options.keep || told.is_err();
    told
}

struct Demo {
    testbed: Testbed,
    start: Instant,
}

impl Demo {
    fn tell(&mut self, options: &Options) -> anyhow::Result<()> {
        self.introduce(options)?;
        self.stranger()?;
        self.install()?;
        self.own_disk()?;
        self.reimage()?;
        self.generations()?;
        let took = self.start.elapsed().as_secs();
        self.say(&format!("done in {} min {} s", took / 60, took % 60));
        if options.keep { self.keep() } else { Ok(()) }
    }

    fn introduce(&self, options: &Options) -> anyhow::Result<()> {
        let router = match options.mode {
            DemoMode::Proxy => {
                "hands out addresses, and the appliance stands beside it in proxy mode"
            }
            DemoMode::Server => "hands out none: that is the appliance's part here, in server mode",
        };
        self.say(&format!(
            "a LAN of network namespaces; the home router (dnsmasq, {ROUTER}) {router}"
        ));
        self.say(&format!("the cluster is a k3s stand-in at {CLUSTER}: it speaks k3s's join protocol and runs nothing"));
        self.say(&format!(
            "the machine is QEMU with {} firmware, {}",
            options.firmware,
            match options.firmware {
                VmFirmware::Uefi | VmFirmware::SecureBoot | VmFirmware::Arm(_) =>
                    "its disk before its network, as most boxes come",
                VmFirmware::Bios => "its network before its disk",
            }
        ));
        self.typed(&format!(
            "pxe-appliance serve --config appliance.toml    # at {APPLIANCE}"
        ));
        self.show(&fs::read_to_string(&self.testbed.appliance.log)?)?;
        self.say(
            "the flake beside appliance.toml is built: a practice system, a stand-in for a NixOS system, and the installer",
        );
        self.admin("publish")
    }

    fn stranger(&mut self) -> anyhow::Result<()> {
        self.title("1. a stranger");
        self.say("power on: a blank machine that nobody enrolled");
        self.testbed.machine.power_on()?;
        self.testbed
            .wait_for("the stranger to be written down", BOOT, |m| {
                m.state == State::Seen
            })?;
        self.admin("machines")?;
        self.say("it gets no answer, only a line on record; power off");
        self.testbed.machine.cut_power()
    }

    fn install(&mut self) -> anyhow::Result<()> {
        self.title("2. enrolled, installed, joined");
        self.admin(&format!("enroll {MAC} --profile worker --name node1"))?;
        self.testbed.machine.power_on()?;
        self.say("power on");
        self.watch()
    }

    /// Follows until the node joined, and says how long after power-on that was.
    fn watch(&mut self) -> anyhow::Result<()> {
        self.admin("watch node1 --timeout 10m")?;
        let took = self.testbed.machine.uptime().as_secs_f32();
        self.say(&format!("joined {took:.1} s after power-on"));
        Ok(())
    }

    fn own_disk(&mut self) -> anyhow::Result<()> {
        self.title("3. its own disk");
        self.say("off, on");
        self.testbed.machine.cut_power()?;
        self.boots_its_disk()?;
        self.say("the appliance is stopped; off, on");
        self.testbed.appliance.stop()?;
        self.testbed.machine.cut_power()?;
        self.boots_its_disk()?;
        self.say("the appliance is started again");
        self.testbed.appliance.start()?;
        self.admin("machines")
    }

    fn boots_its_disk(&mut self) -> anyhow::Result<()> {
        let machine = &mut self.testbed.machine;
        machine.power_on()?;
        machine.wait_for_console("practice login:", BOOT)?;
        let console = machine.console()?;
        if console.contains("practice installer") {
            bail!("it was installed again");
        }
        let took = machine.uptime().as_secs_f32();
        let stages: Vec<&str> = console
            .lines()
            .filter(|line| line.contains("<<<"))
            .collect();
        self.show(&stages.join("\n"))?;
        self.say(&format!(
            "it runs from its own disk, {took:.1} s after power-on"
        ));
        Ok(())
    }

    fn reimage(&mut self) -> anyhow::Result<()> {
        self.title("4. installed again, under the same name");
        self.admin("reimage node1")?;
        self.testbed.machine.cut_power()?;
        self.testbed.machine.power_on_from_network()?;
        self.say(match self.testbed.machine.build().firmware {
            VmFirmware::Uefi | VmFirmware::SecureBoot | VmFirmware::Arm(_) => {
                "off, on, with a finger on the key that boots from the network"
            }
            VmFirmware::Bios => "off, on",
        });
        self.watch()
    }

    fn generations(&self) -> anyhow::Result<()> {
        self.title("5. what it has run");
        self.admin("generations node1")
    }

    fn keep(&mut self) -> anyhow::Result<()> {
        let dir = self.testbed.appliance.dir().display().to_string();
        let programs = self.testbed.products.programs();
        self.say("it all goes on until Ctrl-C. From another terminal, as the same user:");
        println!("    cd {dir}");
        println!(
            "    PXE_APPLIANCE=unix:admin.sock {}/pxe-admin machines",
            programs.display()
        );
        println!("    tail -f ../tap0.console        # the machine's console");
        println!("    tail -f appliance.log ../cluster.log ../router.log");
        if self.testbed.capture.is_some() {
            println!("    tcpdump -nr ../lan.pcap port 67 or port 4011");
        }
        loop {
            self.testbed.machine.still_runs()?;
            self.testbed.appliance.still_runs()?;
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// Runs `pxe-admin WORDS` and shows what it prints while it prints it.
    fn admin(&self, words: &str) -> anyhow::Result<()> {
        self.typed(&format!("pxe-admin {words}"));
        let (from, to) = std::io::pipe()?;
        let mut command = self.testbed.appliance.admin_command(words);
        command
            .stdin(Stdio::null())
            .stdout(to.try_clone()?)
            .stderr(to);
        let mut child = command.spawn().context("cannot run pxe-admin")?;
        // The command holds the pipe's other end too, and would keep it open.
        drop(command);
        let out = BufReader::new(from);
        for line in out.lines() {
            self.show(&line?)?;
        }
        let status = child.wait()?;
        if !status.success() {
            bail!(
                "`pxe-admin {words}` ended with {status}; the logs are in {}",
                self.testbed.dir.display()
            );
        }
        Ok(())
    }

    fn title(&self, text: &str) {
        println!("\n{text}");
    }

    fn say(&self, text: &str) {
        println!("{:6.1} s  {text}", self.start.elapsed().as_secs_f32());
    }

    fn typed(&self, text: &str) {
        println!("{:6.1} s  $ {text}", self.start.elapsed().as_secs_f32());
    }

    fn show(&self, text: &str) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        for line in text.lines() {
            writeln!(out, "          | {}", line.trim_end())?;
        }
        Ok(out.flush()?)
    }
}
