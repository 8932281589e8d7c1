# ZFS in the installer, for labs with a profile that wants it: larger, and held to kernels that ZFS knows.
{ config, lib, ... }:
{
  options.netboot.installer.zfs = lib.mkOption {
    type = lib.types.bool;
    default = false;
    description = "Whether this installer can make pools, for profiles with `layout = \"zfs\"`.";
  };

  config = lib.mkIf config.netboot.installer.zfs {
    # The kernel's module is loaded at boot; pools that it finds are left alone.
    boot.supportedFilesystems.zfs = true;
    boot.zfs.forceImportRoot = false;
    networking.hostId = import ./host-id.nix;
    systemd.services.netboot-agent.path = [ config.boot.zfs.package ];
  };
}
