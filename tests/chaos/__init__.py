"""Chaos: real processes, a misbehaving world and SIGKILL, and then the count: nothing lost, nothing twice."""
