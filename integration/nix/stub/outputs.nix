# The outputs of the flake, made of stand-ins for its inputs. `lib`: the one beside this file, or nixpkgs' own; `disko`: a module.
{
  lib,
  disko ? ./disko/module.nix,
}:
let
  nixpkgs = import ./nixpkgs.nix lib;
  flake = (import ../../../flake.nix).outputs {
    inherit nixpkgs;
    self = flake // {
      outPath = ../../..;
    };
    disko.nixosModules.disko = disko;
  };
in
{
  inherit nixpkgs flake;
}
