"""What a message proposes works: every case provokes a message, takes the proposal out of it and
types the same command with it.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.core.spec import find_grid
from tests.cli.conftest import Typed
from tests.conftest import NVIDIA, make_archive
from tests.docs.test_commands import MAIN, ROOT, VERBS, unknown

NETWORK = NVIDIA / "cond2_rgb_32.pkl"
SMALL = (
    "--set model.channel_base=64 --set model.channel_max=8 --set model.z_dim=8 --set model.w_dim=8"
)


@dataclass(frozen=True)
class Case:
    """A command that fails, and how its message helps.

    Attributes:
        command: without the program's name.
        pattern: finds the proposal in the message; groups are put into `way_out`.
        way_out: words that are added, with `{0}` for the first group; an option that the command
            has already is replaced. Empty: the found text itself.
        drops: options that the message says to leave out.
    """

    command: str
    pattern: str
    way_out: str = "{0}"
    drops: tuple[str, ...] = ()


FLAGS = r"((?:--[a-z-]+ [\w-]+(?:\.\d+)? ?)+)"
CASES = [
    *(
        Case(f"prepare {folder} o.zip --workers 1{rest}", rf"prepare with {FLAGS}")
        for folder, rest in [
            ("p17x17", ""),
            ("p30x31", ""),
            ("p34x50", ""),
            ("p50x34", " --transform center-crop"),
            ("p50x34", " --size 34 --transform pad"),
            ("p50x34", " --width 50 --height 34"),
            ("p50x34", " --width 50 --height 34 --transform center-crop-wide"),
            ("p70x70", " --tile 34"),
        ]
    ),
    *(
        Case("prepare p30x16 o.zip --size 16 --workers 1", rule, f"--transform {kind}")
        for kind in ("center-crop", "pad", "stretch")
        for rule in [f"add --transform .*{kind}"]
    ),
    Case("prepare mixed o.zip --workers 1", r"add (--allow-rejects)"),
    Case("prepare broken o.zip --workers 1", r"add (--allow-rejects)"),
    Case("prepare p16x16 set.zip --workers 1", r"(add --force) to replace", "--force"),
    Case("prepare p16x16 o.tar --workers 1", r"name it (\S+\.zip)", "DEST={0}"),
    Case("prepare p16x16 o.zip --workers 1 --grid g.jpg", r"name it (\S+\.png)", "--grid {0}"),
    Case("phantom skin o.zip --count 12 --size 17", rf"prepare with {FLAGS}"),
    Case("split split.zip", r"add (--force) to split"),
    *(
        Case(f"split set.zip{rest}", rf"use {FLAGS}")
        for rest in (" --folds 99", " --test 0.98 --val 0.01", " --test 0.01")
    ),
    Case(
        f"train --data set.zip --cfg tiny --batch 6 --batch-gpu 3 --dry-run {SMALL} "
        "--set model.mbstd_group=2 --device cpu",
        r"nearest that is and divides the batch: (\d+)",
        "--batch-gpu {0}",
    ),
    *(
        Case(
            f"train --data set.zip --cfg tiny --batch {batch} --dry-run {SMALL} --device cpu",
            r"take (\d+) for --batch and training.batch_gpu",
            "--batch {0} --batch-gpu {0}",
        )
        for batch in ("3", "9", "9 --batch-gpu 3")
    ),
    Case(
        f"train --data set.zip --cfg tiny --batch 9 --dry-run {SMALL} --device cpu "
        "--set model.mbstd_group=2 --set model.spread_weight=0",
        r"(model\.mbstd_group=\d+) divides it",
        "--set {0}",
    ),
    Case(
        f"train --data set.zip --cfg tiny --dry-run {SMALL} --set model.mbstd_channels=3 "
        "--device cpu",
        r"as (\d+) does",
        "--set model.mbstd_channels={0}",
    ),
    Case(
        "train --data wide.zip --cfg tiny --dry-run --set model.channel_base=16 "
        "--set model.discriminator_channel_base=512 --device cpu",
        r"must be at least (\d+)",
        "--set model.channel_base={0}",
    ),
    Case(
        f"train --data set.zip --cfg tiny --dry-run {SMALL} --aug fixed --device cpu",
        r"needs a strength: (--p [\d.]+)",
    ),
    Case(
        f"train --data set.zip --cfg tiny --dry-run {SMALL} --p 0.3 --device cpu",
        r"add (--aug fixed)",
    ),
    Case(
        f"train --data set.zip --cfg tiny --dry-run {SMALL} --mirror --device cpu",
        r"(--invariant mirror)",
    ),
    Case(
        f"train --data set.zip --cfg tiny --dry-run {SMALL} --subset 99 --device cpu",
        r"from 1 to (\d+)",
        "--subset {0}",
    ),
    Case(
        f"train --data set.zip --cfg tiny --dry-run {SMALL} --device cuda:77",
        r"use (--device auto)",
    ),
    Case(f"train --data set.zip --cfg tinny --dry-run {SMALL}", r"'(tiny)'", "--cfg {0}"),
    Case(f"generate --network {NETWORK} --outdir o --seeds 3-0", r"write (0-3)", "--seeds {0}"),
    Case(f"generate --network {NETWORK} --outdir o --class x", r"known are: (\d)", "--class {0}"),
    Case(
        f"generate --network {NETWORK} --outdir o --grid o/seed1.png",
        r"name it (\S+)",
        "--grid {0}",
    ),
    Case(
        f"generate --network {NETWORK} --outdir o.zip --format jpeg",
        "leave it out",
        "",
        ("--format",),
    ),
    Case(f"generate --network {NETWORK} --outdir o.h5", r"name it (\S+\.zip)", "--outdir {0}"),
    Case(
        f"generate --network {NETWORK} --outdir o --precision auto",
        r"say (fp32)",
        "--precision {0}",
    ),
    Case("report set.zip -o page", r"name such as (\S+\.html)", "-o {0}"),
    Case("report set.zip -o taken.html", r"add (--force) to replace"),
    Case("report set.zip -o folder.html", r"name such as (\S+\.html)", "-o {0}"),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images of many sizes and archives."""
    monkeypatch.chdir(tmp_path)
    make_archive(tmp_path / "set.zip", invariances=None)
    make_archive(tmp_path / "split.zip", split="train")
    make_archive(tmp_path / "wide.zip", size=(16, 32))
    rng = np.random.default_rng(0)

    def draw(folder: str, name: str, width: int, height: int) -> None:
        (tmp_path / folder).mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / folder / name)

    for size in ("17x17", "30x31", "34x50", "50x34", "70x70", "30x16", "16x16"):
        width, height = map(int, size.split("x"))
        for number in range(3):
            draw(f"p{size}", f"{number}.png", width, height)
    for number, width in enumerate((16, 16, 16, 24)):
        draw("mixed", f"{number}.png", width, 16)
        draw("broken", f"{number}.png", 16, 16)
    (tmp_path / "broken" / "bad.png").write_bytes(b"bad")
    (tmp_path / "taken.html").write_text("mine")
    (tmp_path / "folder.html").mkdir()
    return tmp_path


def applied(words: list[str], proposal: list[str], drops: tuple[str, ...]) -> list[str]:
    """A command with what was proposed; options that it has already are replaced, --set is not."""
    if proposal and proposal[0].startswith("DEST="):
        return [proposal[0].removeprefix("DEST=") if w.startswith("o.") else w for w in words]
    new = {word for word in proposal if word.startswith("-") and word != "--set"}
    settings = {word.partition("=")[0] for word in proposal if "=" in word}
    if "--size" in new:
        new |= {"--width", "--height"}
    if {"--width", "--height"} & new:
        new.add("--size")
    kept, skip = list[str](), 0
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if skip:
            skip -= 1
        elif word in (*new, *drops):
            skip = int(not after.startswith("-") and after != "")
        elif word == "--set" and after.partition("=")[0] in settings:
            skip = 1
        else:
            kept.append(word)
    return [*kept, *proposal]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.command[:60])
def test_what_a_message_proposes_works(case: Case, typed: Typed, place: Path) -> None:
    words = shlex.split(case.command)
    code, out, err = typed(*words)
    message = " ".join(err.split())
    found = re.search(case.pattern, message)
    assert code == 2 and found is not None, (code, out, err)
    proposal = shlex.split(case.way_out.format(*found.groups()))
    code, out, err = typed(*applied(words, proposal, case.drops))
    assert code == 0, (proposal, out, err)
    if words[0] == "prepare" and "x" in words[1]:
        size = re.search(r"(\d+)x(\d+), image", out)
        assert size is None or find_grid(int(size[2]), int(size[1])) is not None


SOURCES = sorted((ROOT / "src").rglob("*.py"))
OTHERS = {
    "--help",
    "--version",
    "--debug",
    "--source",
    "--dest",
    "--logdir",
    "--standalone",
    "--nproc-per-node",
    "--index-url",
    "--extra-index-url",
}
"""Options of all verbs, and of other programs that messages name."""


def texts(path: Path) -> Iterator[str]:
    """Every string of a source file that is no documentation."""
    import ast

    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else "X" for part in node.values
            )


def test_every_option_that_a_message_names_exists() -> None:
    known = {flag for flags in VERBS.values() for flag in flags} | OTHERS
    wrong = {
        (path.name, flag)
        for path in SOURCES
        for text in texts(path)
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z](?![\w-])", text)
        if flag not in known
    }
    assert not wrong


def test_every_command_that_a_message_names_exists() -> None:
    wrong = {
        (path.name, command, word)
        for path in SOURCES
        for text in texts(path)
        for command in re.findall(r"synthograph ([a-z][\w' -]*--[^;,()'\n]*|[a-z-]+)'", text)
        for word in unknown(command.split())
    }
    assert not wrong and MAIN is not None


def test_every_extra_that_a_message_names_exists() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = {
        extra
        for path in SOURCES
        for text in texts(path)
        for extra in re.findall(r"synthograph\[([a-z0-9,]+)\]", text)
    }
    assert named <= set(extras)
