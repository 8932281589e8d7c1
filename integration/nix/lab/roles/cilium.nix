# The CNI of those profiles that are no cluster with the rest.
{
  netboot.k3s.cni = "cilium";
}
