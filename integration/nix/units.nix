# The units of ours as NixOS would write them, by name: for systemd's own opinion of them.
#
# Every program is `true`, which is on the machine that asks.
let
  lib = import ./stub/lib.nix;
  inherit (import ./stub/outputs.nix { inherit lib; }) nixpkgs flake;
  system =
    module: settings:
    nixpkgs.lib.nixosSystem {
      modules = [
        module
        settings
        { nixpkgs.hostPlatform = "x86_64-linux"; }
      ];
    };
  appliance = system flake.nixosModules.appliance {
    services.pxe-appliance = {
      enable = true;
      flakeSshKeyFile = "/etc/pxe-appliance/flake-ssh.key";
      settings.k3s.token-file = "/etc/pxe-appliance/k3s.token";
    };
  };
  installer = system flake.nixosModules.installer { };

  word =
    value:
    if builtins.isBool value then
      lib.boolToString value
    else if builtins.isString value then
      builtins.replaceStrings (map (program: "/stub/${program}") programs) (map (_: "/bin/true") programs) value
    else
      toString value;
  programs = [
    "netboot-agent/bin/netboot-agent"
    "pxe-appliance/bin/pxe-appliance"
    "coreutils/bin/kill"
  ];
  # One line for each of a list.
  lines =
    name: value:
    lib.concatStrings (
      map (one: "${name}=${word one}\n") (if builtins.isList value then value else [ value ])
    );
  section = name: keys: "[${name}]\n" + lib.concatStrings (lib.mapAttrsToList lines keys);

  unit =
    machine: name:
    let
      service = machine.config.systemd.services.${name};
    in
    section "Unit" (
      {
        Description = service.description;
        After = service.after;
        Wants = service.wants;
      }
      // service.unitConfig
    )
    + section "Service" (
      service.serviceConfig
      // {
        Environment = lib.mapAttrsToList (
          variable: value: builtins.toJSON "${variable}=${value}"
        ) service.environment;
      }
    );
in
{
  # What has nothing to do as root.
  confined = {
    pxe-appliance = unit appliance "pxe-appliance";
    netboot-report = unit flake.nixosConfigurations.worker "netboot-report";
  };
  # What writes to disks.
  free.netboot-agent = unit installer "netboot-agent";
}
