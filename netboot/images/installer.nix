# nixosModules.installer: NixOS in RAM with one job, the agent.
self:
{
  config,
  lib,
  modulesPath,
  pkgs,
  ...
}:
let
  agent = self.packages.${pkgs.stdenv.hostPlatform.system}.netboot-agent;
in
{
  imports = [
    (modulesPath + "/installer/netboot/netboot.nix")
    (modulesPath + "/profiles/minimal.nix")
    ./installer-zfs.nix
    ./node/network.nix
  ];

  networking.hostName = "installer";

  # A machine's disks and cards are not known before it runs.
  hardware.enableAllHardware = true;
  # Half a gigabyte in every machine's RAM. A card that does not work without its firmware needs this line to be true.
  hardware.enableRedistributableFirmware = lib.mkForce false;

  # To start an array, a cache or a volume group writes to its disks, and they may be somebody's. LVM is needed later, for
  # its rules of device names; its settings are not in the initrd, so there it would start what it finds.
  boot = {
    swraid.enable = false;
    bcache.enable = false;
    initrd.services.lvm.enable = false;
  };
  environment.etc."lvm/lvm.conf".text = "activation { auto_activation_volume_list = [] }";

  # The whole image goes over the network and into RAM: small, and quick to unpack.
  netboot.squashfsCompression = "zstd -Xcompression-level 6";

  # A system that its owner sent to sleep is not to wake up in place of the installer. Not `gpt`, which has the kernel believe the
  # copy of a table at the end of a disk: many disks have one that is long out of date, beside a table that is not.
  # The last console is /dev/console. Boxes without a serial port are more common than boxes without a screen.
  boot.kernelParams = [
    "noresume"
    (if pkgs.stdenv.hostPlatform.isx86 then "console=ttyS0,115200" else "console=ttyAMA0,115200")
    "console=tty0"
  ];

  systemd.services.netboot-agent = {
    description = "Install this machine as the appliance plans it";
    wantedBy = [ "multi-user.target" ];
    wants = [ "network-online.target" ];
    after = [ "network-online.target" ];
    # Without one of the two nobody wants anything of it: the image is only looked at.
    unitConfig.ConditionKernelCommandLine = [
      "|netboot.ticket"
      "|netboot.discover"
    ];
    path = [
      config.nix.package
      pkgs.bash
      pkgs.btrfs-progs
      pkgs.cryptsetup
      pkgs.dosfstools
      pkgs.e2fsprogs
      pkgs.lvm2
      pkgs.mdadm
      pkgs.openssh
      pkgs.util-linux
      pkgs.xfsprogs
    ];
    serviceConfig = {
      # It does not return from an install that began; a machine that failed is held as it is.
      ExecStart = "${agent}/bin/netboot-agent install";
      StandardOutput = "journal+console";
      StandardError = "journal+console";
    };
  };

  environment.systemPackages = [ agent ];

  # It keeps no state: there is nothing to be compatible with.
  system.stateVersion = lib.mkDefault config.system.nixos.release;
}
