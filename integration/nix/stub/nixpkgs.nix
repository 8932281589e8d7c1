# A stand-in for the input `nixpkgs`: `nixosSystem` evaluates modules, with those options of NixOS that ours set.
#
# `lib` is the one beside this file, or the real one.
lib:
let
  pkgsFor = import ./pkgs.nix lib;

  nixosSystem =
    { modules }:
    let
      evaluated = lib.evalModules {
        modules =
          modules
          ++ [ ./options.nix ]
          # As NixOS does it; what is asked of the outside has been checked, and the checks need packages.
          ++ lib.optional real ({ config, ... }: { _module.args.pkgs = pkgsFor config.nixpkgs.hostPlatform; });
        specialArgs = {
          modulesPath = ./modules;
        }
        // lib.optionalAttrs (!real) { inherit pkgs; };
      };
      real = lib.types ? deferredModule;
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
