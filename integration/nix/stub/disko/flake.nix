# The stand-in for disko, as a flake.
{
  outputs = _: { nixosModules.disko = ./module.nix; };
}
