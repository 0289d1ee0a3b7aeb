"""Everything that is drawn, a file per subject: a record first, then what draws it twice.

``canvas`` holds what all share (colours, figures, files), ``layers`` how a graph of layers is laid
out.
"""
