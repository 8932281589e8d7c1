# What every machine of the lab has, whatever its profile.
{
  # Who may log in. There are no passwords.
  users.users.root.openssh.authorizedKeys.keys = [
    # "ssh-ed25519 AAAA… you@example"
  ];

  time.timeZone = "UTC";
}
