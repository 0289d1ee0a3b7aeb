"""What a mapping costs: access counts, latency, energy, for one mapping or a batch."""
