"""segbench from Python: what the commands do, as calls with results instead of exit codes."""
