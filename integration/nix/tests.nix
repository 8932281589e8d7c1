# What the flake's outputs are, evaluated with a stand-in for nixpkgs → the names of the rows that do not hold.
#
# NIXPKGS_LIB: the folder of nixpkgs' own `lib`, and the same rows are evaluated by the real module system. With it, DISKO: the
# folder of disko's sources, and disko makes the file systems of every layout.
let
  given = variable: default: if builtins.getEnv variable == "" then default else /. + builtins.getEnv variable;
  lib = import (given "NIXPKGS_LIB" ./stub/lib.nix);
  disko = given "DISKO" ./stub/disko + "/module.nix";
  inherit (import ./stub/outputs.nix { inherit lib disko; }) nixpkgs flake;
  x86 = flake.packages.x86_64-linux;

  # A lab whose files are written here.
  lab = ./lab;
  systems = flake.lib.systemsFrom lab;
  of = name: systems.${name}.config;
  # Without the one that is there to be refused.
  sound = builtins.attrNames (removeAttrs systems [ "old" ]);
  fails = value: !(builtins.tryEval (builtins.deepSeq value value)).success;
  # Not defined, whichever way a module system says so.
  absent = value: fails value || value == null;

  layouts = import ../../netboot/images/layouts.nix lib;

  installer = nixpkgs.lib.nixosSystem {
    modules = [
      flake.nixosModules.installer
      { nixpkgs.hostPlatform = "x86_64-linux"; }
    ];
  };

  rows = {
    # --- outputs ---
    "every output is there for both architectures" =
      map (kind: builtins.attrNames flake.${kind}) [ "packages" "devShells" "checks" ]
      == builtins.genList (_: [ "aarch64-linux" "x86_64-linux" ]) 3;
    "the packages are those of the contract" =
      builtins.attrNames x86 == [ "installer" "ipxe" "netboot-agent" "practice" "pxe-admin" "pxe-appliance" ];
    "the template has a flake" = builtins.pathExists (flake.templates.default.path + "/flake.nix");
    "the template's hosts make systems" =
      builtins.attrNames (flake.lib.systemsFrom (flake.templates.default.path + "/hosts")) == [ "server" "worker" ];
    "a lab that began with the template has the installers that are published with its systems" =
      let
        begun = (import (flake.templates.default.path + "/flake.nix")).outputs { netboot = flake; };
      in
      map (system: begun.packages.${system}.installer.drvPath) [ "x86_64-linux" "aarch64-linux" ]
        == map (system: flake.packages.${system}.installer.drvPath) [ "x86_64-linux" "aarch64-linux" ]
      && builtins.attrNames begun.nixosConfigurations == [ "server" "worker" ];
    "a program is built from the lock file, by its own name" =
      let
        inherit (x86.netboot-agent) pname version cargoLock cargoBuildFlags;
      in
      pname == "netboot-agent"
      && version == (builtins.fromTOML (builtins.readFile ../../Cargo.toml)).workspace.package.version
      && builtins.pathExists cargoLock.lockFile
      && cargoBuildFlags == [ "--package=netboot-agent" "--bin=netboot-agent" ];
    "every loader has a name that the appliance looks for" =
      let
        reply = builtins.readFile ../../netboot/src/dhcp/reply.rs;
        known = name: builtins.length (builtins.split "\"${name}\"" reply) > 1;
      in
      builtins.all known (builtins.attrNames x86.ipxe.entries) && builtins.attrNames x86.ipxe.entries != [ ];
    "each loader comes from a build for its processor, on either machine" =
      let
        from = system: name: toString flake.packages.${system}.ipxe.entries.${name};
      in
      map (system: from system "snponly-arm64.efi") [ "x86_64-linux" "aarch64-linux" ]
        == [ "/stub/ipxe-aarch64/snponly.efi" "/stub/ipxe-aarch64/snponly.efi" ]
      && map (system: from system "undionly.kpxe") [ "x86_64-linux" "aarch64-linux" ]
        == [ "/stub/ipxe-x86_64/undionly.kpxe" "/stub/ipxe-x86_64/undionly.kpxe" ];
    "every system is evaluated by the check of its architecture" =
      let
        built = name: "${builtins.storeDir}/00000000000000000000000000000000-${name}.drv";
        line = shown: name: "${shown} ${built "toplevel-${name}"} ${built "vm-${name}"}\n";
        ours = name: line name name;
        lab' = name: line "lab/${name}" name;
        text = lib.concatStrings;
      in
      map (system: flake.checks.${system}.systems.text) [ "x86_64-linux" "aarch64-linux" ]
      == [
        (text (
          map lab' [ "joined" "mirrored" "pooled" "scripted" "server" "special" "tabled" "vault" "worker" ]
          ++ map ours [ "server" "worker" ]
        ))
        (text (map lab' [ "alone" "board" ]))
      ];
    "the installed machine of the checks runs the worker's system, and its appliance's settings hold" =
      let
        install = flake.checks.x86_64-linux.install-bios;
        has = part: builtins.length (builtins.split part install.testScript) > 1;
        machine = nixpkgs.lib.nixosSystem {
          modules = [
            install.nodes.appliance
            { nixpkgs.hostPlatform = "x86_64-linux"; }
          ];
        };
        inherit (machine.config.environment.etc."pxe-appliance/appliance.toml".source) value;
      in
      has "publish worker --toplevel /stub/toplevel-worker\""
      && !(has "OVMF")
      && value.dhcp.mode == "server"
      && value.k3s.agent-token-file == "/run/credentials/pxe-appliance.service/k3s-agent-token";

    # --- hosts → systems ---
    "one system for each profile, and one for the machine with modules of its own" =
      builtins.attrNames systems
      == [ "alone" "board" "joined" "mirrored" "old" "pooled" "scripted" "server" "special" "tabled" "vault" "worker" ];
    "this repository's own hosts make systems" = builtins.attrNames flake.nixosConfigurations == [ "server" "worker" ];
    "a draft is no profile" = !(systems ? draft);
    "a system is called as its profile" = (of "worker").system.name == "worker";
    "a machine's own modules come on top of its profile's" =
      (of "special").test.own && (of "special").services.k3s.role == "agent" && (of "special").system.name == "special";
    "no other machine has them" = !((of "worker") ? test);
    "what is common is in every system" = builtins.all (name: (of name).time.timeZone == "UTC") sound;
    "a module of this flake is found where the lab has none by that name" = (of "alone").virtualisation.libvirtd.enable;
    "a module that nobody has is refused" = fails (flake.lib.systemsFrom ./lab-missing).worker.config.netboot.k3s.role;
    "a machine with modules of its own may not be called as a profile" =
      fails (builtins.attrNames (flake.lib.systemsFrom ./lab-twice));
    "the kernel parameters are the profile's" = (of "worker").boot.kernelParams == [ "console=ttyS0" ];
    "an unknown layout is refused" = fails (of "old").disko.devices;
    "a system has no machine's name" = builtins.all (name: (of name).networking.hostName == "") sound;

    # --- disk and boot loader ---
    "what the agent formats is what is mounted" =
      let
        partitions = (of "worker").disko.devices.disk.main.content.partitions;
      in
      builtins.mapAttrs (_: p: "${p.label} ${p.type} ${p.size} ${toString p.priority} ${p.content.format} ${p.content.mountpoint}") partitions
      == {
        ESP = "disk-main-ESP C12A7328-F81F-11D2-BA4B-00A0C93EC93B 512M 1 vfat /boot";
        root = "disk-main-root 0FC63DAF-8483-4772-8E79-3D69D8477DE4 100% 2 ext4 /";
      };
    "a BIOS disk has the partition of GRUB's core, and nothing to mount there" =
      let
        inherit ((layouts.ext4 null).bios.disk.main.content.partitions) boot;
      in
      boot == {
        label = "disk-main-boot";
        type = "21686148-6449-6E6F-744E-656564454649";
        size = "1M";
        priority = 1;
      };
    "an x86 system asks the machine which boot loader it needs" =
      let
        hook = (of "worker").boot.loader.external.installHook.text;
        has = part: builtins.length (builtins.split part hook) > 1;
      in
      has "/sys/firmware/efi" && has "/stub/systemd-boot" && has "/stub/grub" && has "/dev/disk/netboot/";
    "the swap of a profile is in its system" =
      let
        partitions = (of "mirrored").disko.devices.disk.second.content.partitions;
      in
      partitions.swap.size == "2G" && partitions.swap.label == "disk-second-swap" && partitions.swap.priority == 2;
    "a mirror starts from either disk" =
      let
        inherit (of "mirrored") boot fileSystems;
        bios = (systems.mirrored.extendModules { modules = [ { netboot.firmware = lib.mkForce "bios"; } ]; }).config;
      in
      builtins.elem "nofail" fileSystems."/boot".options
      && builtins.elem "nofail" fileSystems."/boot-second".options
      && builtins.length (builtins.split "/boot-second" boot.loader.systemd-boot.extraInstallCommands) > 1
      && map (boots: "${boots.path} ${toString boots.devices}") bios.boot.loader.grub.mirroredBoots
        == [ "/boot /dev/disk/netboot/main" "/boot-second /dev/disk/netboot/second" ];
    "a table is disko's but for the device, which the agent chooses, and what is preserved, which only the agent asks" =
      let
        inherit ((builtins.fromTOML (builtins.readFile ./lab/profiles/tabled.toml)).disk) devices;
        made = import ../../netboot/images/tables.nix lib devices;
        inherit (made.disk.data.content.partitions) files;
      in
      removeAttrs made.disk.main.content.partitions [ "core" ] == removeAttrs devices.disk.main.content.partitions [ "core" ]
      && made.disk.main.device == "/dev/disk/netboot/main"
      && made.disk.data.device == "/dev/disk/netboot/data"
      && files == removeAttrs devices.disk.data.content.partitions.files [ "preserve" ]
      && (of "tabled").disko.devices.disk.data.content.partitions.files.label == "files";
    "a BIOS machine with a table has GRUB on the disks with a place for it, found by their labels" =
      let
        bios = (systems.tabled.extendModules { modules = [ { netboot.firmware = lib.mkForce "bios"; } ]; }).config;
        hook = (of "tabled").boot.loader.external.installHook.text;
      in
      bios.boot.loader.grub.devices == [ "/dev/disk/netboot/main" ]
      && builtins.length (builtins.split "main:core-of-main" hook) > 1;
    "a table for one firmware makes a system for that one" =
      let
        inherit ((builtins.fromTOML (builtins.readFile ./lab/profiles/tabled.toml)).disk.devices.disk) main;
        without =
          part:
          (systems.tabled.extendModules {
            modules = [
              {
                netboot.devices = lib.mkForce {
                  disk.main = main // {
                    content = main.content // {
                      partitions = removeAttrs main.content.partitions [ part ];
                    };
                  };
                };
              }
            ];
          }).config;
      in
      (of "tabled").netboot.firmware == "any"
      && (without "core").netboot.firmware == "uefi"
      && (without "ESP").netboot.firmware == "bios";
    "a system that disko's script lays out carries it, where the agent has the new system mounted" =
      let
        inherit (of "scripted") disko netboot system;
      in
      system.systemBuilderCommands
      == "mkdir -p $out/netboot\nln -s ${system.build.formatMount} $out/netboot/format\n"
      && disko.rootMountPoint == "/mnt"
      && netboot.firmware == "any"
      && disko.devices.disk.data.device == "/dev/disk/netboot/data"
      && disko.devices.disk.data.content.type == "btrfs";
    "other systems carry no script" = builtins.all (name: (of name).system.systemBuilderCommands == "") (
      lib.filter (name: name != "scripted") sound
    );
    "every layout is there for both firmwares, with swap and without" =
      builtins.attrNames layouts == [ "btrfs" "ext4" "luks-btrfs" "luks-ext4" "mirror" "xfs" "zfs" ]
      && builtins.all (
        layout:
        builtins.all (swap: builtins.attrNames (layout swap) == [ "bios" "uefi" ]) [ null "1G" ]
      ) (builtins.attrValues layouts);
    "a pool is found by the label of its partition, and opened without force by every system of ours" =
      let
        inherit (of "pooled") boot disko networking;
        inherit ((layouts.zfs "2G").uefi) disk zpool;
        inherit (disk.main.content.partitions) root swap;
        datasets = builtins.mapAttrs (_: one: "${one.mountpoint} ${one.options.mountpoint}") zpool.rpool.datasets;
      in
      root.content == {
        type = "zfs";
        pool = "rpool";
      }
      && swap.size == "2G"
      && datasets == {
        home = "/home legacy";
        nix = "/nix legacy";
        root = "/ legacy";
        var = "/var legacy";
      }
      && disko.devices.zpool.rpool.rootFsOptions == zpool.rpool.rootFsOptions
      && boot.zfs.devNodes == "/dev/disk/by-partlabel"
      && !boot.zfs.forceImportRoot
      && networking.hostId == import ../../netboot/images/host-id.nix
      && absent ((of "worker").networking.hostId or null);
    "encrypted disks are opened before systemd asks for a passphrase" =
      let
        unlock = (of "vault").boot.initrd.systemd.services.netboot-unlock;
        ours = [ "systemd-cryptsetup@root.service" "systemd-cryptsetup@swap.service" ];
        named = builtins.mapAttrs (_: p: "${p.label} ${p.content.type or "none"} ${p.content.name or ""}") (of "vault")
        .disko.devices.disk.main.content.partitions;
      in
      unlock.wantedBy == ours
      && builtins.all (unit: builtins.elem unit unlock.before) ours
      && builtins.elem "dev-disk-by\\x2dpartlabel-disk\\x2dmain\\x2droot.device" unlock.after
      && unlock.serviceConfig.ExecStart
        == "/stub/netboot-agent/bin/netboot-agent unlock --patience 300 root=/dev/disk/by-partlabel/disk-main-root swap=/dev/disk/by-partlabel/disk-main-swap"
      && named.root == "disk-main-root luks root"
      && named.swap == "disk-main-swap luks swap";
    "what a table encrypts is opened as well, by the names that it has there" =
      let
        luks = name: {
          type = "luks";
          inherit name;
        };
        table = {
          disk.main = {
            type = "disk";
            content = {
              type = "gpt";
              partitions = {
                ESP.size = "1G";
                root.content = luks "crypt-root";
                data = {
                  label = "data";
                  content = luks "data";
                };
              };
            };
          };
          mdadm.safe.content = luks "safe";
        };
        unlock =
          (systems.vault.extendModules { modules = [ { netboot.devices = lib.mkForce table; } ]; })
          .config.boot.initrd.systemd.services.netboot-unlock;
        opens = part: builtins.length (builtins.split part unlock.serviceConfig.ExecStart) > 1;
      in
      opens " crypt-root=/dev/disk/by-partlabel/disk-main-root"
      && opens " data=/dev/disk/by-partlabel/data"
      && opens " safe=/dev/md/safe"
      && builtins.elem "systemd-cryptsetup@crypt\\x2droot.service" unlock.wantedBy;
    "the first stage has what the agent runs, and an address" =
      let
        inherit ((of "vault").boot.initrd) systemd;
      in
      systemd.enable
      && systemd.network.enable
      && systemd.network.networks."40-lan".dhcpV4Config.ClientIdentifier == "mac"
      && builtins.all (path: builtins.elem path systemd.storePaths) [
        "/stub/netboot-agent/bin/netboot-agent"
        systemd.extraBin.cryptsetup
      ];
    "what a table encrypts is opened by its label, or its array's name" =
      let
        inherit ((builtins.fromTOML (builtins.readFile ../../netboot/tests/tables/luks.toml)).disk) devices;
        inherit ((systems.tabled.extendModules { modules = [ { netboot.devices = lib.mkForce devices; } ]; }).config.boot.initrd)
          systemd
          ;
        start = systemd.services.netboot-unlock.serviceConfig.ExecStart;
        has = part: builtins.length (builtins.split part start) > 1;
      in
      builtins.all has [
        "crypt-root=/dev/disk/by-partlabel/disk-a-root"
        "swap=/dev/disk/by-partlabel/disk-a-swap"
        "crypt-data=/dev/md/data"
      ];
    "a disk that is not encrypted has nothing of it" =
      absent ((of "worker").boot.initrd.systemd.services.netboot-unlock or null);
    "a BIOS machine does not wait for an ESP" = builtins.elem "nofail" (of "worker").fileSystems."/boot".options;
    "an arm64 system knows" =
      (of "alone").boot.loader.systemd-boot.enable && !(of "alone").boot.loader.external.enable;
    "the order of the firmware's boot entries is left alone" = !(of "worker").boot.loader.efi.canTouchEfiVariables;

    # --- network ---
    "a bridge takes the address that the card had" =
      let
        inherit ((of "alone").systemd.network) networks;
      in
      networks."40-lan".networkConfig == {
        Bridge = "br0";
        DHCP = "no";
      }
      && networks."50-br0".networkConfig.DHCP == "yes";
    "a bridge of all cards has a spanning tree, whose times are the shortest that go together" =
      let
        inherit ((of "alone").systemd.network.netdevs."30-br0") bridgeConfig;
        twice = seconds: 2 * (seconds - 1);
      in
      bridgeConfig.STP
      && twice bridgeConfig.ForwardDelaySec == bridgeConfig.MaxAgeSec
      && bridgeConfig.MaxAgeSec == 2 * (bridgeConfig.HelloTimeSec + 1);
    "a card asks by its MAC" = (of "worker").systemd.network.networks."40-lan".dhcpV4Config.ClientIdentifier == "mac";

    # --- node ---
    "the report starts where the agent left an identity" =
      let
        service = (of "worker").systemd.services.netboot-report;
      in
      service.unitConfig.ConditionPathExists == "/var/lib/netboot/node.json"
      && service.serviceConfig.ExecStart == "/stub/netboot-agent/bin/netboot-agent report";
    "the agent of a system is that of its architecture" = (of "alone").netboot.agent == flake.packages.aarch64-linux.netboot-agent;

    # --- installer ---
    "kernel, initrd and command line are of one build" =
      let
        inherit (x86.installer) cmdline arch script;
        has = part: builtins.length (builtins.split part script) > 1;
      in
      arch == "x86_64"
      && cmdline == "init=/stub/toplevel-unnamed/init noresume console=ttyS0,115200 console=tty0"
      && has "/stub/kernel/bzImage"
      && has "/stub/ramdisk/initrd";
    "the installer starts no array, cache or volume group by itself" =
      let
        inherit (installer.config) boot environment;
      in
      !boot.swraid.enable
      && !boot.bcache.enable
      && !boot.initrd.services.lvm.enable
      && environment.etc."lvm/lvm.conf".text == "activation { auto_activation_volume_list = [] }";
    "an installer has ZFS where somebody asks for it, and the agent finds its programs" =
      let
        inherit
          (nixpkgs.lib.nixosSystem {
            modules = [
              flake.nixosModules.installer
              {
                nixpkgs.hostPlatform = "x86_64-linux";
                netboot.installer.zfs = true;
              }
            ];
          })
          config
          ;
        names = config: map (package: package.name or "") config.systemd.services.netboot-agent.path;
      in
      config.boot.supportedFilesystems.zfs
      && builtins.elem "zfs" (names config)
      && config.networking.hostId == import ../../netboot/images/host-id.nix
      && !(builtins.elem "zfs" (names installer.config))
      && (flake.lib.installer "x86_64-linux" [ { netboot.installer.zfs = true; } ]).name == "netboot-installer-x86_64";
    "the agent is the installer's job, if there is a ticket" =
      let
        service = installer.config.systemd.services.netboot-agent;
      in
      service.unitConfig.ConditionKernelCommandLine == [
        "|netboot.ticket"
        "|netboot.discover"
      ]
      && service.serviceConfig.ExecStart == "/stub/netboot-agent/bin/netboot-agent install";
  }
  // import ./appliance.nix { inherit lib nixpkgs flake fails absent; }
  // import ./shell.nix { inherit lib flake; }
  // import ./cluster.nix { inherit lib systems absent; }
  // lib.optionalAttrs (disko != ./stub/disko/module.nix) (import ./disks.nix { inherit lib nixpkgs flake; });
in
{
  checked = builtins.length (builtins.attrNames rows);
  failed = builtins.filter (name: rows.${name} != true) (builtins.attrNames rows);
}
