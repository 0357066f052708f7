"""The command line: verbs made of the requests of `workflows`, and how results and errors print.

Modules import nothing heavy at the top, so that `synthograph --help` answers at once.
"""
