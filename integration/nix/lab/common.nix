# What every machine of the tests' lab has.
{
  time.timeZone = "UTC";
}
