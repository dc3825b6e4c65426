"""The local target: environments are ports of this machine, servers are processes."""
