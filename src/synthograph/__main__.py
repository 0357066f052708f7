"""`python -m synthograph`."""

import sys


def run() -> None:
    """Run the command line; Ctrl-C while it is still being imported ends it in one line too."""
    try:
        from synthograph.cli.main import run as start
    except KeyboardInterrupt:
        sys.exit(_interrupted())
    start()


def _interrupted() -> int:
    sys.stderr.write("stopped: interrupted before anything was begun\n")
    return 3


if __name__ == "__main__":
    run()
