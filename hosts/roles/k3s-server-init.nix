# The first k3s server of a cluster.
{
  netboot.k3s.role = "server-init";

  # What the cluster runs from its first minute can be declared here: objects, charts, and images for nodes without internet.
  #
  #   services.k3s.manifests.hello.content = { apiVersion = "v1"; kind = "Namespace"; metadata.name = "hello"; };
  #   services.k3s.autoDeployCharts.NAME = { repo = "…"; name = "…"; version = "…"; hash = "…"; };
  #   services.k3s.images = [ (pkgs.dockerTools.buildImage { name = "hello"; copyToRoot = pkgs.hello; }) ];
}
