# Stands where nixpkgs has the netboot image.
{ }
