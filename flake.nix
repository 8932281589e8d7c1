# The whole lab as one declaration: programs, boot loaders, the installer, a system for every profile of hosts/, and the
# NixOS modules they are made of. Each output is made in a file of its own, next to what it is about.
{
  description = "A netboot appliance: plug in a box, power it on, and it joins the cluster";

  inputs = {
    # Everything that is installed, and what it is built with.
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    # Layouts → file systems of the installed system, in the schema that NixOS users know.
    disko.url = "github:nix-community/disko/master";
    disko.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    inputs@{ self, nixpkgs, ... }:
    let
      forEach = nixpkgs.lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
      ];
      pkgs = forEach (system: nixpkgs.legacyPackages.${system});
    in
    {
      # hosts/ → nixosConfigurations. A flake of one's own calls it too: see templates.default.
      lib.systemsFrom = import ./netboot/images/systems.nix inputs;
      # packages.installer, with NixOS modules of one's own.
      lib.installer = import ./netboot/images/installer-files.nix inputs;

      nixosConfigurations = self.lib.systemsFrom ./hosts;

      nixosModules = {
        appliance = import ./appliance/module.nix self;
        node = import ./netboot/images/node.nix inputs;
        installer = import ./netboot/images/installer.nix self;
      };

      packages = forEach (
        system:
        import ./netboot/images/programs.nix pkgs.${system}
        // {
          ipxe = import ./netboot/images/ipxe.nix pkgs.${system} pkgs.x86_64-linux;
          installer = self.lib.installer system [ ];
          practice = import ./integration/nix/practice.nix pkgs.${system} pkgs.x86_64-linux;
        }
      );

      devShells = forEach (system: {
        default = import ./integration/nix/dev-shell.nix pkgs.${system} self.packages.${system}.practice;
      });

      checks = forEach (system: import ./integration/nix/checks.nix inputs system);

      templates.default = {
        path = ./hosts/template;
        description = "A lab of your own: profiles and roles here, everything else from this flake";
      };
    };
}
