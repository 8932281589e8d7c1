# The disks and the boot loader: one system that starts by UEFI and by BIOS, from whichever disks the agent chose.
{
  config,
  extendModules,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.netboot;
  layouts = import ../layouts.nix lib;
  layout = import ../layout-of.nix lib cfg;

  partitions = disk: builtins.attrValues (disk.content.partitions or { });
  isMounted = at: disk: builtins.any (partition: (partition.content.mountpoint or null) == at) (partitions disk);
  # Codes of sgdisk, and what they stand for.
  isCore = partition: isType "EF02" "21686148-6449-6E6F-744E-656564454649" partition;
  isEsp = partition: isType "EF00" "C12A7328-F81F-11D2-BA4B-00A0C93EC93B" partition;
  isType =
    code: guid: partition:
    builtins.elem (lib.toUpper (partition.type or "")) [
      code
      guid
    ];
  has = is: devices: builtins.any (disk: builtins.any is (partitions disk)) (builtins.attrValues devices.disk);

  # The disks that BIOS starts from, each with the label of the partition where GRUB's core lies. GRUB is written to a disk,
  # not to a partition, and where the agent says which disks it chose is what a layout calls the device.
  cores = builtins.concatLists (
    lib.mapAttrsToList (
      name: disk:
      lib.mapAttrsToList (part: partition: {
        inherit name;
        inherit (disk) device;
        label = partition.label or "disk-${name}-${part}";
        second = isMounted "/boot-second" disk;
      }) (lib.filterAttrs (_: isCore) (disk.content.partitions or { }))
    ) layout.bios.disk
  );
  devicesOf = cores: map (core: core.device) cores;
  hasSecond = builtins.any (isMounted "/boot-second") (builtins.attrValues layout.uefi.disk);

  # What this same system would run to install the boot loader if it were made for one firmware only.
  loader =
    firmware:
    (extendModules { modules = [ { netboot.firmware = lib.mkForce firmware; } ]; })
    .config.system.build.installBootLoader;

  install = pkgs.writeShellScript "install-boot-loader" ''
    set -eu
    if [ -d /sys/firmware/efi ]; then
      exec ${loader "uefi"} "$@"
    fi
    # Made by the agent at install; after a boot of the node they are gone, and found again by the partition of GRUB's core.
    for core in ${toString (map (core: "${core.name}:${core.label}") cores)}; do
      disk=''${core%%:*}
      [ -e "/dev/disk/netboot/$disk" ] && continue
      partition=$(${pkgs.coreutils}/bin/readlink -f "/dev/disk/by-partlabel/''${core#*:}")
      if [ ! -e "$partition" ]; then
        echo "warning: the disk \`$disk\` is not there: this generation cannot be started from it" >&2
        continue
      fi
      parent=$(${pkgs.util-linux}/bin/lsblk --noheadings --output PKNAME "$partition")
      ${pkgs.coreutils}/bin/mkdir -p /dev/disk/netboot
      ${pkgs.coreutils}/bin/ln -sfn "/dev/$parent" "/dev/disk/netboot/$disk"
    done
    exec ${loader "bios"} "$@"
  '';
in
{
  options.netboot = {
    layout = lib.mkOption {
      type = lib.types.enum (builtins.attrNames layouts);
      default = "ext4";
      description = "The disk layout, by its name in a profile's `[disk]`.";
    };
    devices = lib.mkOption {
      type = lib.types.nullOr (lib.types.attrsOf lib.types.anything);
      default = null;
      description = "The whole layout, as a profile has it under `[disk.devices]`; null for one that has a name.";
    };
    swap = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "4G";
      description = "How much swap the layout has; null for none.";
    };
    firmware = lib.mkOption {
      type = lib.types.enum [
        "any"
        "uefi"
        "bios"
        "none"
      ];
      default =
        if !pkgs.stdenv.hostPlatform.isx86_64 || !(has isCore layout.bios) then
          "uefi"
        else if !(has isEsp layout.uefi) then
          "bios"
        else
          "any";
      defaultText = lib.literalMD ''`"any"` on x86-64 with a layout for both, else the one that can be'';
      description = ''
        What starts the machines of this system. `any` looks at the machine when the boot loader is installed: systemd-boot
        on UEFI, GRUB on BIOS. `none` installs no boot loader.
      '';
    };
  };

  config = lib.mkMerge [
    {
      disko.devices = if cfg.firmware == "bios" then layout.bios else layout.uefi;

      boot.loader = {
        # The order of NVRAM's boot entries stays as the owner set it: network first, or a reimage could not begin.
        efi.canTouchEfiVariables = false;
        timeout = lib.mkDefault 3;
        systemd-boot = {
          enable = cfg.firmware == "uefi";
          configurationLimit = lib.mkDefault 10;
          # Either disk of a mirror starts the machine, with every generation.
          extraInstallCommands = lib.mkIf hasSecond ''
            # What ran before this goes on whatever came of it. A copy of a /boot that is not there is no /boot, and after the
            # first disk of a mirror died it would take the last one.
            built=$?
            mounted=${pkgs.util-linux}/bin/mountpoint
            if [ "$built" != 0 ] || ! $mounted --quiet /boot || [ ! -d /boot/EFI/systemd ]; then
              echo "error: /boot was not renewed, and the second disk's copy of it stays as it is" >&2
              [ "$built" != 0 ] || built=1
              exit "$built"
            elif $mounted --quiet /boot-second; then
              ${pkgs.rsync}/bin/rsync --recursive --times --modify-window=1 --delete /boot/ /boot-second/
            else
              echo "warning: /boot-second is not mounted: the second disk's copy of /boot is not renewed" >&2
            fi
          '';
        };
        grub = {
          enable = cfg.firmware == "bios";
          devices = lib.mkIf (!hasSecond) (devicesOf cores);
          mirroredBoots = lib.mkIf hasSecond [
            {
              path = "/boot";
              devices = devicesOf (builtins.filter (core: !core.second) cores);
            }
            {
              path = "/boot-second";
              devices = devicesOf (builtins.filter (core: core.second) cores);
            }
          ];
          configurationLimit = lib.mkDefault 10;
        };
      };
    }

    (lib.mkIf (layout.uefi ? mdadm) {
      # With neither a program nor an address to tell, mdadm's monitor does not start; the journal has what it says.
      boot.swraid.mdadmConf = lib.mkDefault "PROGRAM ${pkgs.coreutils}/bin/true";
    })

    # A machine starts from the disk that is left.
    (lib.mkIf hasSecond {
      fileSystems = lib.genAttrs [ "/boot" "/boot-second" ] (_: {
        options = [
          "nofail"
          "x-systemd.device-timeout=10s"
        ];
      });
    })

    (lib.mkIf (cfg.firmware == "any" && !hasSecond) {
      # With the layout `ext4` a BIOS machine has no ESP: its /boot is a folder of the root, and nothing waits for a
      # partition that never comes.
      fileSystems."/boot".options = [
        "nofail"
        "x-systemd.device-timeout=10s"
      ];
    })

    (lib.mkIf (cfg.firmware == "any") {
      boot.loader.external = {
        enable = true;
        installHook = install;
      };
    })
  ];
}
