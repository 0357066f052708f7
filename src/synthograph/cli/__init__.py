"""The command line: one file per verb, the only room (with `studio`) that wires rooms together.

Modules import nothing heavy at the top, so that `synthograph --help` answers at once.
"""
