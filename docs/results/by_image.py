"""An archive split by image and not by patient, as nobody should: what that overstates.

python docs/results/by_image.py skin.zip by-image.zip
"""

import argparse
from dataclasses import replace
from pathlib import Path

from synthograph.archive.linked import linked
from synthograph.archive.reader import open_archive
from synthograph.archive.split import SplitOptions, split_archive


def main() -> None:
    """Link the images under groups of their own, and split them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("dest", type=Path)
    asked = parser.parse_args()
    archive = open_archive(asked.source)
    rows = [replace(row, group=row.file, split=None, fold=None) for row in archive.rows]
    linked(archive, rows, asked.dest)
    split_archive(asked.dest, SplitOptions())


if __name__ == "__main__":
    main()
