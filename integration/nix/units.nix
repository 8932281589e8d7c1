# The units of ours as systemd would read them, by name: for `systemd-analyze security`.
let
  lib = import ./stub/lib.nix;
  inherit (import ./stub/outputs.nix { inherit lib; }) nixpkgs flake;
  appliance = nixpkgs.lib.nixosSystem {
    modules = [
      flake.nixosModules.appliance
      {
        nixpkgs.hostPlatform = "x86_64-linux";
        services.pxe-appliance.enable = true;
      }
    ];
  };

  line = name: value: "${name}=${if builtins.isBool value then (if value then "yes" else "no") else toString value}\n";
  lines =
    name: value:
    if builtins.isList value then lib.concatStrings (map (line name) value) else line name value;
  unit =
    system: name:
    "[Service]\n" + lib.concatStrings (lib.mapAttrsToList lines system.config.systemd.services.${name}.serviceConfig);
in
{
  pxe-appliance = unit appliance "pxe-appliance";
  netboot-report = unit flake.nixosConfigurations.worker "netboot-report";
}
