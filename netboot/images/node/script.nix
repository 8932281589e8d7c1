# `engine = "disko"`: disko's own script, which the installer runs in place of a plan's commands, comes with the system.
#
# The one with all that it runs, rather than the one that takes programs from where it is run: a table is given to disko for what
# the installer has no programs for, and a script is run with just those that its release was built with. Much of that is in the
# system anyway. It makes and mounts, and destroys nothing: the agent has torn down and wiped the chosen disks by then.
{ config, lib, ... }:
{
  options.netboot.engine = lib.mkOption {
    type = lib.types.enum [
      "plan"
      "disko"
    ];
    default = "plan";
    description = ''
      What lays the disks out: the appliance's plan, command by command, or the script that disko makes of `netboot.devices`.
    '';
  };

  config = lib.mkIf (config.netboot.engine == "disko") {
    # Where the agent puts the new system together.
    disko.rootMountPoint = "/mnt";

    # Publishing a system finds it by this link.
    system.systemBuilderCommands = ''
      mkdir -p $out/netboot
      ln -s ${config.system.build.formatMount} $out/netboot/format
    '';
  };
}
