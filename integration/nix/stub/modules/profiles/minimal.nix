# Stands where nixpkgs has its small profile.
{ }
