# A k3s worker.
{
  netboot.k3s.role = "agent";

  # Images for pods that will run here, so that they start without internet:
  #
  #   services.k3s.images = [ (pkgs.dockerTools.buildImage { name = "hello"; copyToRoot = pkgs.hello; }) ];
}
