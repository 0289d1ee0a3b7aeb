"""Studies: what searches found, kept, compared with each other and with published results, drawn.

A folder per subject; imports between them run one way, from the first to the last:

``storage``
    What is remembered: runs as plain data, Optuna storages that hold them, optuna-dashboard on
    these, tables as files.
``compare``
    Strategies side by side on equal budgets: the runs, their tables, ranks and statistics.
``hardware``
    Searches over hardware that several workers share: plans, workers, strategies side by side.
``fidelity``
    Our numbers beside published ones: rows read and costed, agreement, latency fitted.
``pictures``
    Everything that is drawn of the above and of networks, one file per subject, and the report.

``units`` writes quantities for people, in all of them and on the command line; ``script`` is what
the files in ``studies/`` share.
"""
