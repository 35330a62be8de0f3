"""``make bench``: how fast the hub is, as ratios against floors measured in the same run. See docs/benchmarks.md."""
