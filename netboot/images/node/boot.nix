# The disk and the boot loader: one system that starts by UEFI and by BIOS, from whichever disk the agent chose.
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
  layout =
    layouts.${cfg.layout}
      or (throw "no layout is called `${cfg.layout}`; there are: ${toString (builtins.attrNames layouts)}");

  # Where the agent says which disk it chose; GRUB on a BIOS machine is written to a disk, not to a partition.
  disk = layout.bios.disk.main.device;

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
    # Made by the agent at install; after a boot of the node it is gone, and found again by the partition of GRUB's core.
    if ! [ -e ${disk} ]; then
      partition=$(${pkgs.coreutils}/bin/readlink -f /dev/disk/by-partlabel/disk-main-boot)
      parent=$(${pkgs.util-linux}/bin/lsblk --noheadings --output PKNAME "$partition")
      ${pkgs.coreutils}/bin/mkdir -p ${dirOf disk}
      ${pkgs.coreutils}/bin/ln -sfn "/dev/$parent" ${disk}
    fi
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
    firmware = lib.mkOption {
      type = lib.types.enum [
        "any"
        "uefi"
        "bios"
        "none"
      ];
      default = if pkgs.stdenv.hostPlatform.isx86_64 then "any" else "uefi";
      defaultText = lib.literalMD ''`"any"` on x86-64, else `"uefi"`'';
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
        };
        grub = {
          enable = cfg.firmware == "bios";
          device = disk;
          configurationLimit = lib.mkDefault 10;
        };
      };
    }

    (lib.mkIf (cfg.firmware == "any") {
      boot.loader.external = {
        enable = true;
        installHook = install;
      };
      # A BIOS machine has no ESP: its /boot is a folder of the root, and nothing waits for a partition that never comes.
      fileSystems."/boot".options = [
        "nofail"
        "x-systemd.device-timeout=10s"
      ];
    })
  ];
}
