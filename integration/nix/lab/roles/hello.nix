# What the tests' cluster runs: an object, a chart and an image of the lab's own, and another CNI.
{ pkgs, ... }:
{
  netboot.k3s.cni = "calico";
  services.k3s = {
    manifests.hello.content = {
      apiVersion = "v1";
      kind = "Namespace";
      metadata.name = "hello";
    };
    # Evaluated and never fetched.
    autoDeployCharts.greeter = {
      repo = "https://charts.example.org";
      name = "greeter";
      version = "1.2.3";
      hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
      targetNamespace = "hello";
      values.replicaCount = 1;
    };
    images = [
      (pkgs.dockerTools.buildImage {
        name = "hello";
        copyToRoot = pkgs.hello;
      })
    ];
  };
}
