# What disko makes of the tables in netboot/tests/tables → for each file, what our own reader is held to by a test there.
#
# `disko`: a checkout of disko. `lib`: that of nixpkgs, which disko needs whole.
{ disko, lib }:
let
  corpus = ../../netboot/tests/tables;
  names = map (lib.removeSuffix ".toml") (
    builtins.filter (lib.hasSuffix ".toml") (builtins.attrNames (builtins.readDir corpus))
  );

  # What sgdisk, which disko calls, makes of its short codes.
  guids = {
    EF00 = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
    EF02 = "21686148-6449-6E6F-744E-656564454649";
    "8200" = "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F";
    "8300" = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";
    "8309" = "CA7D7CCB-63ED-4C53-861C-1742536059CC";
    FD00 = "A19D880F-05FC-4D3B-A006-743F0F84911E";
  };

  system =
    name:
    let
      written = (builtins.fromTOML (builtins.readFile (corpus + "/${name}.toml"))).disk.devices;
      table = import ../../netboot/images/tables.nix lib written;
      evaluated = lib.evalModules {
        modules = [
          {
            options.disko.devices = lib.mkOption {
              type = (import (disko + "/lib") { inherit lib; }).toplevel;
            };
            config.disko.devices = table;
          }
        ];
      };
      inherit (evaluated.config.disko) devices;
      option = type: default: lib.mkOption { inherit type default; };
      # The options that disko's own ones become.
      config =
        (lib.evalModules {
          modules = [
            {
              options = {
                fileSystems = option (lib.types.attrsOf lib.types.anything) { };
                swapDevices = option (lib.types.listOf lib.types.anything) [ ];
                boot = option (lib.types.attrsOf lib.types.anything) { };
              };
            }
            devices._config
          ];
        }).config;
    in
    {
      disks = builtins.mapAttrs (
        _: disk:
        map (partition: {
          inherit (partition) name label;
          type = guids.${partition.type} or (lib.toUpper partition.type);
        }) (lib.sort (a: b: a._index < b._index) (builtins.attrValues disk.content.partitions))
      ) devices.disk;
      arrays = builtins.mapAttrs (_: array: array.level) devices.mdadm;
      encrypted = builtins.mapAttrs (_: volume: volume.device) (config.boot.initrd.luks.devices or { });
      fileSystems = builtins.mapAttrs (_: mount: {
        inherit (mount) device fsType options;
      }) config.fileSystems;
      swap = lib.sort builtins.lessThan (map (swap: swap.device) config.swapDevices);
    };
in
lib.genAttrs names system
