# A stand-in for the input `nixpkgs`: `nixosSystem` evaluates modules, with the few options of NixOS that ours ask about.
#
# `lib` is the one beside this file, or the real one: everything else of NixOS is then taken as it comes.
lib:
let
  pkgsFor = import ./pkgs.nix lib;

  nixos =
    { config, lib, ... }:
    let
      loader = config.boot.loader;
      option =
        type: default:
        lib.mkOption {
          inherit type default;
          description = "Stands for the option of NixOS.";
        };
    in
    {
      options = {
        nixpkgs.hostPlatform = option lib.types.str null;
        system.name = option lib.types.str "unnamed";
        system.nixos.release = option lib.types.str "26.05";
        system.stateVersion = option lib.types.str "26.05";
        system.build = option (lib.types.attrsOf lib.types.anything) { };
        boot.loader.external.enable = option lib.types.bool false;
        boot.loader.external.installHook = option lib.types.anything null;
        boot.loader.systemd-boot.enable = option lib.types.bool false;
        boot.loader.grub.enable = option lib.types.bool false;
      };
      config = {
        system.build = {
          kernel = "/stub/kernel";
          netbootRamdisk = "/stub/ramdisk";
          toplevel = {
            outPath = "/stub/toplevel-${config.system.name}";
            drvPath = "/stub/toplevel-${config.system.name}.drv";
          };
          # As in NixOS, the loader that is switched on is the one that installs.
          installBootLoader =
            if loader.external.enable then
              loader.external.installHook
            else if loader.systemd-boot.enable then
              "/stub/systemd-boot"
            else if loader.grub.enable then
              "/stub/grub"
            else
              "/stub/no-boot-loader";
        };
        system.boot.loader.kernelFile = "bzImage";
        nix.package = "/stub/nix";
        services.k3s.package.airgap-images = "/stub/airgap-images";
      };
    };

  nixosSystem =
    { modules }:
    let
      evaluated = lib.evalModules {
        modules =
          modules
          ++ [ nixos ]
          ++ lib.optional (lib.types ? lazyAttrsOf) {
            _module.freeformType = lib.types.lazyAttrsOf lib.types.anything;
          };
        specialArgs = {
          inherit pkgs;
          modulesPath = ./modules;
        };
      };
      pkgs = pkgsFor evaluated.config.nixpkgs.hostPlatform;
    in
    evaluated // { inherit pkgs; };
in
{
  lib = lib // {
    inherit nixosSystem;
  };
  legacyPackages = lib.genAttrs [
    "x86_64-linux"
    "aarch64-linux"
  ] pkgsFor;
}
