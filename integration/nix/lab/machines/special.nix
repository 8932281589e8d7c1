# One machine's own.
{
  test.own = true;
}
