# An object and a CNI of the lab's own.
{
  netboot.k3s.cni = "calico";
  services.k3s.manifests.hello.content = {
    apiVersion = "v1";
    kind = "Namespace";
    metadata.name = "hello";
  };
}
