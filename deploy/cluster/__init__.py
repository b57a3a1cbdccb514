"""Real servers on this machine, in folders and on ports of their own: for `make cluster` and for the tests."""
