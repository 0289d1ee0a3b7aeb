"""Broken inputs for every entrance of the command line: what may come of them is a message.

``python -m fuzz 100000`` (in ``tests``) draws as many, spread over all entrances; input N of an
entrance is always the same one. Nothing may end in a traceback, in another status than 0, 1, 2 or
130, with text on standard output beside status 2, after more than `HANG_SECONDS`, or with more
than `MOST_MIB` of memory beyond what the package takes.
"""

HANG_SECONDS = 20
MOST_MIB = 1024
