"""A sparse accelerator of Timeloop's as the dense one that it is without its savings."""

from __future__ import annotations

SPARSE_KEYS = (
    "sparse_optimizations",
    "metadata_storage_width",
    "metadata_storage_depth",
    "metadata_datawidth",
    "metadata_counter_width",
    "metadata_block_size",
    "compression_supported",
    "decompression_supported",
    "concordant_compressed_tile_traversal",
    "tile_partition_supported",
)
"""Keys of components that mean nothing where all values are stored and multiplied."""

SPARSE_HINT = (
    "sparse optimizations are not modelled; leave them out, or read the dense accelerator with "
    "the parameter dense=1"
)
"""What to say of them."""


def dense(value: object) -> object:
    """Leave out what only sparse tensors need: metadata, compression, gating, skipping.

    Examples
    --------
    >>> dense({"name": "buffer", "attributes": {"depth": 64, "metadata_storage_width": 8}})
    {'name': 'buffer', 'attributes': {'depth': 64}}
    """
    if isinstance(value, list):
        return [dense(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: dense(item) for key, item in value.items() if key.replace("-", "_") not in SPARSE_KEYS
    }
