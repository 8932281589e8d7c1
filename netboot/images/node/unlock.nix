# Encrypted disks: opened in the first stage by the machine's TPM, else with the key that the appliance has, else by a person
# at the console, whom systemd asks once the agent gave up.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.netboot;
  inherit (import ../layout-of.nix lib cfg) uefi;
  # What lies on each device: on a partition, found by its label, or on an array.
  contents =
    builtins.concatLists (
      lib.mapAttrsToList (
        name: disk:
        lib.mapAttrsToList (part: partition: {
          device = "/dev/disk/by-partlabel/${partition.label or "disk-${name}-${part}"}";
          content = partition.content or { };
        }) (disk.content.partitions or { })
      ) uefi.disk
    )
    ++ lib.mapAttrsToList (name: array: {
      device = "/dev/md/${name}";
      inherit (array) content;
    }) (uefi.mdadm or { });
  # What is encrypted is opened as what, and where it is found.
  volumes = map (
    { device, content }:
    {
      inherit (content) name;
      inherit device;
    }
  ) (lib.filter (one: (one.content.type or "") == "luks") contents);

  # As systemd-escape writes them.
  escaped = builtins.replaceStrings [ "-" "/" ] [ "\\x2d" "-" ];
  units = map (volume: "systemd-cryptsetup@${escaped volume.name}.service") volumes;
  devices = map (volume: "${escaped (lib.removePrefix "/" volume.device)}.device") volumes;
  given = toString (map (volume: "${volume.name}=${volume.device}") volumes);
in
{
  options.netboot.unlockPatience = lib.mkOption {
    type = lib.types.ints.between 1 86400;
    default = 300;
    description = ''
      For how many seconds a machine with encrypted disks asks an appliance that does not answer for its key, before a person
      is asked at the console. After a power cut the appliance may take longer to start than its machines.
    '';
  };

  config = lib.mkIf (volumes != [ ]) {
    boot.initrd = {
      # Drivers of network cards for the first stage; those of disks come with `hardware.enableAllHardware`.
      availableKernelModules = [
        "virtio_net"
        "e1000e"
        "igb"
        "igc"
        "ixgbe"
        "r8169"
        "tg3"
        "mlx4_en"
        "mlx5_core"
        "r8152"
        "ax88179_178a"
        "cdc_ncm"
      ];

      systemd = {
        enable = true;
        tpm2.enable = lib.mkDefault true;

        network = {
          enable = true;
          # As in network.nix: cards, by their MAC, so that it is the lease that they have later.
          networks."40-lan" = {
            matchConfig = {
              Type = "ether";
              Kind = "!*";
            };
            networkConfig.DHCP = "yes";
            dhcpV4Config.ClientIdentifier = "mac";
          };
        };

        storePaths = [
          "${cfg.agent}/bin/netboot-agent"
          "${pkgs.cryptsetup}/bin/cryptsetup"
        ];
        extraBin.cryptsetup = "${pkgs.cryptsetup}/bin/cryptsetup";

        # What it opens is open for systemd's own unit, which then has nothing to ask.
        services.netboot-unlock = {
          description = "Open encrypted disks by the TPM, or with the key that the appliance has";
          wantedBy = units;
          before = units ++ [
            "initrd-switch-root.target"
            "shutdown.target"
          ];
          conflicts = [
            "initrd-switch-root.target"
            "shutdown.target"
          ];
          wants = devices ++ [ "systemd-networkd.service" ];
          after = devices ++ [ "systemd-networkd.service" ];
          unitConfig.DefaultDependencies = false;
          serviceConfig = {
            Type = "oneshot";
            RemainAfterExit = true;
            ExecStart = "${cfg.agent}/bin/netboot-agent unlock --patience ${toString cfg.unlockPatience} ${given}";
            StandardOutput = "journal+console";
            StandardError = "journal+console";
          };
        };
      };
    };
  };
}
