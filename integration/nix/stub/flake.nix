# The stand-in for nixpkgs, as a flake.
{
  outputs = _: import ./nixpkgs.nix (import ./lib.nix);
}
