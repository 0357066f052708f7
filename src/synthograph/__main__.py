"""`python -m synthograph`: the command line."""

from synthograph.cli.main import run

run()
