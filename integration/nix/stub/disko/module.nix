# A stand-in for the input `disko`: takes the table of disks as it comes, and makes no file systems of it.
{ lib, ... }:
{
  options.disko = {
    devices = lib.mkOption {
      type = lib.types.attrsOf lib.types.anything;
      default = { };
      description = "Stands for the option of disko.";
    };
    rootMountPoint = lib.mkOption {
      type = lib.types.str;
      default = "/mnt";
      description = "Stands for the option of disko.";
    };
  };

  config.system.build.formatMount = "/stub/disko-format-mount";
}
