"""Destinations named like files of other kinds are refused."""

from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.core.outputs import refuse_other_kinds


def test_destinations(tmp_path: Path) -> None:
    for name in ("x.zip", "x", "x.v2", "Bilder ö"):
        refuse_other_kinds(tmp_path / name, "DEST")
    with pytest.raises(UserError, match=r"DEST .*x\.tar: .* name it x\.zip, or x for a folder"):
        refuse_other_kinds(tmp_path / "x.tar", "DEST")


def test_an_ending_alone_is_no_name(tmp_path: Path) -> None:
    for name in (".zip", ".ZIP", ".tar", ".png"):
        with pytest.raises(UserError, match=f"--outdir .*{name}: is an ending without a name"):
            refuse_other_kinds(tmp_path / name, "--outdir")
    refuse_other_kinds(tmp_path / ".hidden", "--outdir")
    refuse_other_kinds(tmp_path / "a.zip", "--outdir")
