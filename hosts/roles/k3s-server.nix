# A further k3s server: joins the first one and takes its part in etcd.
{
  netboot.k3s.role = "server";
}
