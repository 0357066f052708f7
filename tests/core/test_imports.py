"""Help and the package itself come without torch: they answer at once."""

import subprocess
import sys

import pytest

CHECK = "import sys; heavy = {'torch', 'torchvision'} & sys.modules.keys(); assert not heavy, heavy"


@pytest.mark.parametrize(
    "code",
    [
        "import synthograph; synthograph.__version__; dir(synthograph)",
        "from synthograph import ImageSpec; ImageSpec(height=8, width=8, modalities={'a': 1}).grid",
        "import synthograph.cli.main",
        "import synthograph.archive.prepare, synthograph.archive.split, synthograph.sources.files",
    ],
)
def test_no_torch(code: str) -> None:
    subprocess.run([sys.executable, "-c", f"{code}\n{CHECK}"], check=True)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["prepare", "--help"]])
def test_help_without_torch(arguments: list[str]) -> None:
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['synthograph', *{arguments!r}]\n"
        "try:\n    runpy.run_module('synthograph', run_name='__main__')\n"
        f"except SystemExit as end:\n    assert not end.code, end.code\n{CHECK}"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "synthograph" in done.stdout


def test_unknown_names_of_the_package() -> None:
    import synthograph

    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = synthograph.nope
