"""SciPy's optimisers as strategies, and how mappings are written as vectors for them."""
