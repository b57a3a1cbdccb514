"""What it takes to run Groundwork on more than one machine."""
