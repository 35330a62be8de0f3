"""Extensiv Integration Manager through its CartRover API, as a warehouse. Facts: integration-manager.md, part B."""
