"""Mappings in the formats of other tools: Timeloop and ZigZag."""
