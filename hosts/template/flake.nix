# A lab of one's own: what its machines are is said in hosts/, everything else comes from the netboot flake.
{
  description = "My lab";

  # Where this template came from.
  inputs.netboot.url = "git+https://example.org/netboot";

  outputs =
    { netboot, ... }:
    {
      # One for each profile of hosts/profiles; `pxe-admin publish` builds them.
      nixosConfigurations = netboot.lib.systemsFrom ./hosts;

      # The installers, which `pxe-admin publish` builds as well, and the programs: `nix run .#pxe-appliance -- check`.
      inherit (netboot) packages;

      # The machine that the appliance itself runs on, if it is NixOS:
      #
      #   nixosConfigurations.appliance = netboot.inputs.nixpkgs.lib.nixosSystem {
      #     modules = [
      #       ./appliance.nix                     # its disks, its address, its users
      #       netboot.nixosModules.appliance
      #       {
      #         nixpkgs.hostPlatform = "x86_64-linux";
      #         services.pxe-appliance = {
      #           enable = true;
      #           settings.lan.interface = "enp1s0";
      #           settings.hosts-dir = ./hosts/profiles;
      #         };
      #       }
      #     ];
      #   };
    };
}
