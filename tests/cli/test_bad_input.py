"""What bad input gets: one line that names the file or flag and the way out, exit code 2, and
nothing half-written.
"""

import json
import os
import shlex
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.archive.reader import open_archive
from synthograph.cli import main
from synthograph.training import estimate
from tests.conftest import make_archive

Run = Callable[[str], tuple[int, str, str]]
TINY = (
    "--cfg tiny --device cpu --batch 4 --set model.channel_base=32 --set model.channel_max=4 "
    "--set model.z_dim=4 --set model.w_dim=4"
)


def draw(path: Path, size: tuple[int, int] = (16, 16), mode: str = "RGB") -> Path:
    """A noise image; size is (width, height)."""
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path)
    return path


def table(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder full of trouble."""
    root = tmp_path_factory.mktemp("bad")
    for i in range(6):
        draw(root / "good" / f"{i}.png")
        draw(root / "sizes" / f"{i}.png", (16 + 4 * i, 16))
        draw(root / "kinds" / f"{i}.png", mode="RGB" if i % 2 else "L")
        draw(root / "odd" / f"{i}.png", (34, 34))
        draw(root / "cut" / f"{i}.png")
    (root / "cut" / "3.png").write_bytes((root / "cut" / "3.png").read_bytes()[:200])
    (root / "empty").mkdir()
    draw(root / "loop" / "a.png")
    (root / "loop" / "self.png").symlink_to("self.png")
    draw(root / "links" / "a.png")
    (root / "links" / "b.png").symlink_to(root / "good" / "0.png")
    (root / "text.txt").write_text("hello")
    (root / "circle").symlink_to(root / "circle")
    (root / "none.safetensors").write_bytes(b"")
    if hasattr(os, "mkfifo"):
        os.mkfifo(root / "pipe")
    _runs(root / "trainings")
    _tables(root)
    _configs(root)
    _zips(root)
    make_archive(root / "set.zip", classes=("RBC", "WBC"))
    make_archive(root / "plain.zip", classes=())
    _archives(root)
    return root


def _runs(root: Path) -> None:
    """A folder of run directories that have no snapshot yet."""
    for name in ("00000-set-tiny", "00001-set-tiny"):
        draw(root / name / "reals.png")
        (root / name / "config.json").write_text("{}")
        (root / name / "log.txt").write_text("")


def _tables(root: Path) -> None:
    names = [f"{i}.png" for i in range(6)]
    table(root / "less.csv", "file,label", *(f"{n},a" for n in names[:5]))
    table(root / "nan.csv", "file,y.0", *(f"{n},{'nan' if n == '3.png' else 1}" for n in names))
    table(root / "nofile.csv", "a,b", "1,2")
    table(root / "twice.csv", "file,label", "0.png,a", "0.png,b")
    (root / "nul.csv").write_bytes(b"file,label\n1.png,a\0b\n")
    (root / "latin.csv").write_bytes("file,label\n1.png,Läsion\n".encode("latin-1"))
    (root / "comma.json").write_text('{"labels": [\n["0.png", 0],\n]}')


def _configs(root: Path) -> None:
    (root / "list.yaml").write_text("- a\n")
    (root / "deep.yaml").write_text("a: " + "[" * 5000 + "]" * 5000)
    (root / "tabs.yaml").write_text("training:\n\tbatch: 4\n")
    (root / "unknown.yaml").write_text("training:\n  bacth: 4\n")
    (root / "twice.yaml").write_text("training:\n  batch: 4\n  batch: 8\n")
    (root / "broken.yaml").write_text("training: {batch: 4\n")
    (root / "broken.json").write_text('{"training": {"batch": 4,}}')


def _zips(root: Path) -> None:
    for name, member in (("climbs.zip", "../x.png"), ("absolute.zip", "/etc/x.png")):
        with zipfile.ZipFile(root / name, "w") as packed:
            packed.writestr("aaaaaaaaaa"[: len(member)], (root / "good" / "0.png").read_bytes())
        data = (root / name).read_bytes()
        (root / name).write_bytes(data.replace(b"a" * len(member), member.encode()))
    with zipfile.ZipFile(root / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.png", b"\0" * (40 << 20))
    (root / "fake.zip").write_text("hello")


def _archives(root: Path) -> None:
    """Archives as folders, each with one thing wrong."""
    good = root / "set.zip"
    rows = zipfile.ZipFile(good).read("manifest.csv").decode().splitlines()
    document = zipfile.ZipFile(good).read("dataset.json").decode()
    for name, manifest in {
        "m-column": [rows[0].replace("file", "name"), *rows[1:]],
        "m-twice": [*rows, rows[1]],
        "m-latin": [*rows, "Läsion"],
        "m-nul": [*rows, "a\0"],
        "m-gone": [*rows, rows[1].replace("img0", "img9")],
        "m-class": [line.replace(",WBC,", ",wbc,") for line in rows],
        "m-absent": [line.replace(",WBC,", ",RBC,") for line in rows],
        "m-nan": [f"{rows[0]},y.0", *(f"{line},nan" for line in rows[1:])],
        "d-comma": rows,
        "d-list": rows,
    }.items():
        with zipfile.ZipFile(good) as packed:
            packed.extractall(root / name)
        encoding = "latin-1" if name == "m-latin" else "utf-8"
        (root / name / "manifest.csv").write_text("\n".join(manifest) + "\n", encoding=encoding)
    (root / "d-comma" / "dataset.json").write_text(document.rstrip()[:-1] + ",}")
    (root / "d-list" / "dataset.json").write_text("[]")
    for name, labels in {
        "p-gone": [["a.png", 0], ["b.png", 1]],
        "p-less": [],
        "p-twice": [["a.png", 0], ["a.png", 1]],
        "p-word": [["a.png", "x"]],
    }.items():
        draw(root / name / "a.png")
        draw(root / name / "c.png") if name == "p-less" else None
        labels = [["a.png", 0]] if name == "p-less" else labels
        (root / name / "dataset.json").write_text(json.dumps({"labels": labels}))
    huge = bytearray((root / "good" / "0.png").read_bytes())
    huge[16:24] = (30_000).to_bytes(4, "big") * 2
    (root / "huge").mkdir()
    (root / "huge" / "a.png").write_bytes(huge)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path) -> Run:
    """Type a line in `place`: exit code, standard output and error."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)

    def call(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["synthograph", *shlex.split(line)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main.run()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return call


def refused(run: Run, line: str, words: str) -> None:
    """The line is refused as every bad input is: briefly, and without a trace on the disk."""
    before = {path for path in Path().rglob("*") if not path.name.endswith(".rejected.csv")}
    code, out, err = run(line)
    assert code == 2, (out, err)
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert words in err, err
    for leak in ("Input should", "Traceback", "pydantic", "[type=", "Errno"):
        assert leak not in out + err
    after = {path for path in Path().rglob("*") if not path.name.endswith(".rejected.csv")}
    assert after == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("prepare empty o.zip", "empty: holds no PNG, JPEG"),
        ("prepare cut o.zip", "3.png: PNG is damaged: cut short"),
        ("prepare huge o.zip", "is more than 200 megapixels"),
        ("prepare sizes o.zip", "6 different sizes, from 16x16 to 36x16: give all one size"),
        ("prepare sizes o.zip --size 16", "1.png: 20x16 has another shape than 16x16"),
        ("prepare kinds o.zip", "add --colour grey (or rgb) to convert all to one kind"),
        ("prepare odd o.zip", "the nearest that fits is 36x36: prepare with --size 36"),
        ("prepare climbs.zip o.zip", "'../x.png' would leave its folder"),
        ("prepare absolute.zip o.zip", "'/etc/x.png' would leave its folder"),
        ("prepare bomb.zip o.zip", "more than 100 times, as compression bombs do"),
        ("prepare fake.zip o.zip", "fake.zip: is not a zip file"),
        ("prepare text.txt o.zip", "text.txt: is not a zip file"),
        ("prepare nowhere o.zip", "nowhere: no such folder or zip file"),
        ("prepare loop o.zip", "self.png: link or file that cannot be followed"),
        ("prepare links o.zip", "b.png: link to a file outside the folder; put the file itself"),
        ("prepare good good", "good exists already"),
        ("prepare good good/new", "good/new lies inside good"),
        ("prepare good text.txt/o.zip", "is not a folder, so text.txt/o.zip cannot be written"),
        ("prepare good o.zip --labels less.csv", "5.png: no row in less.csv"),
        ("prepare good o.zip --labels nan.csv", "3.png: no label vector in nan.csv, row 5"),
        ("prepare good o.zip --labels nofile.csv", "--column file=NAME; columns are: a, b"),
        ("prepare good o.zip --labels twice.csv", "row 2 and row 3 are about the same file"),
        ("prepare good o.zip --labels nul.csv", "nul.csv, line 2: holds a NUL byte"),
        ("prepare good o.zip --labels latin.csv", "no row in latin.csv"),
        ("prepare good o.zip --labels comma.json", "line 3, column 1: not valid JSON: a comma"),
        ("prepare good o.zip --labels good/0.png", "holds a NUL byte, so it is no text"),
        ("prepare good o.zip --labels empty", "empty: cannot be read (Is a directory)"),
        ("prepare good o.zip --masks nowhere", "--masks nowhere: no such folder"),
        ("prepare good o.zip --grid x.xyz", "--grid x.xyz: pictures are PNG files; name it x.png"),
        ("prepare good o.zip --grid x.jpg", "name it x.png"),
        ("prepare good o.zip --size 99999999999999999999", "--size 99999999999999999999: must be"),
        ("prepare good o.zip --tile -3", "--tile -3: must be at least 4"),
        ("prepare good o.zip --width 16", "width and height are given together"),
        ("prepare good o.zip --invariant miror", "--invariant: invariance 'miror' is unknown: did"),
        ("prepare good o.zip --transform crop", "--transform: 'crop' is unknown: known are: "),
        ("prepare good circle", "circle is a broken link"),
        ("prepare good circle/a", "circle is not a folder, so circle/a cannot be written"),
        ("prepare good .zip", "archive .zip: is an ending without a name; name it images.zip"),
        ("prepare good o.zip --grid .png", "--grid .png: pictures are PNG files; name it grid.png"),
        ("prepare good o.zip --grid circle/g.png", "so circle/g.png cannot be written"),
        ("prepare trainings/00000-set-tiny o.zip", "is a run directory; make images with"),
        ("prepare trainings o.zip", "left out: 00000-set-tiny, 00001-set-tiny"),
        ("prepare p-gone o.zip", "lists 1 file(s) that are not there, first 'b.png'"),
        ("prepare p-less o.zip", "c.png: dataset.json has no entry for it"),
        ("prepare p-twice o.zip", "entry 2 of \"labels\": 'a.png' is listed twice"),
        ("prepare p-word o.zip", "label 'x' is neither a class index"),
        # command lines
        ("prepare", "SOURCE is missing: folder, zip or archive with images"),
        ("prepare good", "DEST is missing"),
        ("prepare good o.zip more", "more: more than the command takes"),
        ("prepare good o.zip --sise 8", "--sise: no such option, did you mean '--size'?"),
        ("prepare good o.zip --size x", "--size x: must be a whole number"),
        ("prepare good o.zip --size", "--size: needs a value"),
        ("prepare good o.zip --workers 0", "--workers 0: must be at least 1"),
        ("trian --data set.zip", "'trian' is no command: did you mean 'train'?"),
        ("train --data set.zip --cond=1", "--cond: takes no value; write --cond alone, or leave"),
        ("--nonsense", "--nonsense: no such option, see 'synthograph --help'"),
        ("models --preset nope", "preset 'nope' is unknown: known are"),
        ("models --preset auto --size -1", "--size -1: must be at least 4"),
        ("demo --outdir text.txt", "text.txt is a file"),
        ("demo --kimg 1e30", "--kimg 1e30: must be at most 1e+07"),
        ("demo --kimg nan", "--kimg nan: must be a finite number"),
        ("demo --outdir circle", "circle is a broken link, so nothing can be written into it"),
        ("phantom skin o.zip --count 0", "--count 0: must be at least 1"),
        ("phantom skin o.zip --set auroc=", "--set auroc nothing: must be a number"),
        ("phantom skin o.zip --set auroq=1", "--set auroq: unknown setting, did you mean 'auroc'?"),
        (f"prepare good {'x' * 300}.zip", "File name too long"),
        # splits
        ("split nowhere.zip", "nowhere.zip: no such folder or zip file"),
        ("train --data set.zip:test --cfg tiny", "a split is not named here: set.zip"),
        ("split good", "good is not an archive: make one with 'synthograph prepare'"),
        ("split m-column", "manifest.csv: the header needs a column 'file'"),
        ("split m-twice", "manifest.csv, line 26: "),
        ("split m-latin", "manifest.csv: is not UTF-8 text"),
        ("split m-nul", "manifest.csv, line 26: holds a NUL byte"),
        ("split m-gone", "which is not there"),
        ("split m-class", "has label 'wbc': did you mean 'WBC'?"),
        ("split m-nan", "line 2: column y.0 holds 'nan', a label vector needs finite numbers"),
        ("split d-comma", "dataset.json, line"),
        ("split d-list", "dataset.json holds list, expected an object"),
        ("split set.zip --test nan", "--test nan: must be a finite number"),
        ("split set.zip --folds 99", "groups cannot be cut into 99 parts, since a group is never"),
        (
            "split set.zip --test 0.98 --val 0.01",
            "would be empty, 12 groups are too few for these shares: use --",
        ),
        ("split set.zip --seed -1", "--seed -1: must be at least 0"),
    ],
)
def test_sources_tables_archives_and_lines(run: Run, line: str, words: str) -> None:
    refused(run, line, words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--gamma -1", "must be at least 0"),
        ("--cfg nope", "preset 'nope' is unknown: known are: quick, auto"),
        ("--cfg stylegan1", "it is a family, whose presets are progressive or tiny-progressive"),
        ("--kimg nan", "must be a finite number"),
        ("--batch 0", "must be at least 1"),
        ("--batch 1e30", "--batch 1e30: must be a whole number"),
        ("--seed -1", "must be at least 0"),
        ("--subset 0", "must be at least 1"),
        ("--subset 999", "--subset 999: choose from 1 to 24 images"),
        ("--fold 0", "the archive has no fold; make folds with"),
        ("--split nope", "no image is in split 'nope'"),
        ("--aug fixed --p 2", "must be at most 1"),
        ("--augpipe nope", "--augpipe 'nope' is unknown"),
        ("--device tpu", "use auto, cpu, cuda or cuda:N"),
        ("--precision fp8", "'fp8' is unknown: known are: auto, fp32, bf16"),
        ("--set training.bacth=4", "did you mean 'batch'?"),
        ("--set training.batch", "is not of the form name.name=value"),
        ("--set training.batch=[1", "not valid YAML: expected ',' or ']'"),
        ("--config list.yaml", "list.yaml: holds list, a configuration is a mapping"),
        ("--config tabs.yaml", "tabs.yaml, line 2, column 1: not valid YAML"),
        ("--config unknown.yaml", "did you mean 'batch'?"),
        ("--config twice.yaml", "line 3, column 3: not valid YAML: key 'batch' is given twice"),
        ("--config broken.yaml", "broken.yaml, line 2, column 1: not valid YAML"),
        ("--config broken.json", "line 1, column 26: not valid JSON: a comma before a closing"),
        ("--config set.zip", "set.zip: is not UTF-8 text"),
        ("--config empty", "empty: cannot be read (Is a directory)"),
        ("--gama 1", "--gama: no such option, did you mean '--gamma'?"),
        ("--config deep.yaml", "deep.yaml: not valid YAML: nested more deeply than can"),
        ("--set model.z_dim=100000000", "--set model.z_dim 100000000: must be at most 8192"),
        ("--set model.w_dim=100000000", "--set model.w_dim 100000000: must be at most 8192"),
        ("--set model.channel_base=100000000", "must be at most 1048576"),
        ("--set model.channel_max=100000000", "must be at most 8192"),
        ("--set model.mapping_width=100000000", "must be at most 8192"),
        ("--set model.label_width=100000000", "must be at most 8192"),
        ("--set model.mbstd_channels=100000000", "must be at most 8192"),
        ("--set model.discriminator_channel_max=100000000", "must be at most 8192"),
        ("--dry-run --outdir text.txt", "text.txt is a file, so nothing can be written into it"),
        ("--dry-run --outdir circle", "circle is a broken link, so nothing can be written"),
        ("--dry-run --outdir text.txt/runs", "is not a folder, so text.txt/runs cannot be written"),
        ("--outdir text.txt", "text.txt is a file, so nothing can be written into it"),
        (f"--outdir {'x' * 300}", "x: File name too long"),
    ],
)
def test_training_options(run: Run, options: str, words: str) -> None:
    outdir = "" if "--outdir" in options else "--outdir runs"
    device = "" if "--device" in options else "--device cpu"
    refused(run, f"train --data set.zip --cfg tiny {device} {outdir} {options}", words)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("nowhere.zip", "nowhere.zip: no such folder or zip file"),
        ("text.txt", "text.txt: is not a zip file"),
        ("good/0.png", "good/0.png: is not a zip file"),
        ("empty", "empty: holds no images"),
        ("plain.zip --cond", "has no label (24 of 24 images)"),
        ("m-absent --cond", "no training image is of class 'WBC'; conditional training needs some"),
        ("p-gone", "dataset.json names 'b.png', but there is no such file"),
        ("p-less", "dataset.json has no label for 'c.png'"),
        ("huge", "is more than 200 megapixels, the limit of an image"),
        ("odd", "the nearest that fits is 36x36"),
    ],
)
def test_archives_that_cannot_train(run: Run, data: str, words: str) -> None:
    refused(run, f"train --outdir runs --cfg tiny --device cpu --data {data}", words)


def test_run_directories_are_no_archives_and_the_other_way_round(run: Run) -> None:
    refused(run, "train --resume set.zip", "set.zip: is no run directory")
    refused(run, "train --resume good", "no run directory")
    refused(run, "train --resume goood", "goood: is no run directory; did you mean 'good'?")


def test_networks_that_are_none(run: Run) -> None:
    for network in ("nowhere", "text.txt", "good/0.png", "set.zip", "empty", "good"):
        refused(run, f"generate --network {network} --outdir images", network)
    for line in ("generate --outdir images --network {}", "convert {} o.safetensors"):
        refused(run, line.format("none.safetensors"), "is empty; expected a snapshot such as")
        refused(run, line.format("good/0.png"), "expected a snapshot such as generator-000200")
        refused(run, line.format("trainings"), "is a folder of 2 run(s); give one of them, such as")
    refused(run, "generate --network none.safetensors --outdir .zip", "name it images.zip")
    for line in ("generate --outdir images --network {}", "convert {} o.safetensors", "inspect {}"):
        refused(run, line.format("x" * 300), f"{'x' * 300}: File name too long")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_are_refused_and_not_waited_for(run: Run) -> None:
    train = "train --data set.zip --cfg tiny --device cpu"
    refused(run, "prepare good o.zip --labels pipe", "pipe: is a pipe or a device, not a file")
    refused(run, f"{train} --outdir runs --config pipe", "pipe: is a pipe or a device, not a file")
    refused(run, f"{train} --dry-run --outdir pipe", "pipe is a pipe or device, so nothing can be")
    refused(run, f"{train} --outdir pipe", "pipe is a pipe or device, so nothing can be")
    refused(run, "demo --outdir pipe", "pipe is a pipe or device, so nothing can be")
    refused(run, "prepare good pipe", "pipe exists already")
    refused(run, "inspect pipe", "is a pipe or a device; give a file or a folder")
    refused(run, "convert pipe o.safetensors", "pipe: is no regular file")


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="no such file here")
def test_files_that_cannot_be_read_and_places_that_hold_none(run: Run) -> None:
    memory = "/proc/self/mem: Input/output error; use an ordinary file"
    refused(run, "inspect /proc/self/mem", memory)
    refused(run, "generate --network /proc/self/mem --outdir images", memory)
    refused(run, "convert /proc/self/mem o.safetensors", memory)
    train = "train --data set.zip --cfg tiny --device cpu --dry-run"
    for line in (f"{train} --outdir /proc/x", "demo --outdir /proc/x", "prepare good /proc/x.zip"):
        refused(run, line, "/proc")


def test_a_picture_goes_into_a_folder_that_is_made(run: Run) -> None:
    code, out, err = run("prepare good pictured.zip --grid made/for/grid.png")
    assert code == 0, (out, err)
    assert Path("made/for/grid.png").is_file()


def test_a_dry_run_with_a_huge_batch_ends_soon(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(estimate.MAX_IMAGES, "cpu", 8)
    tiny = TINY.replace("--batch 4", "--batch 1000000")
    code, out, err = run(f"train --data set.zip --outdir runs --dry-run {tiny}")
    assert code == 0, (out, err)
    assert "with 8 images at once, while a batch has 1000000 and microbatches of 1000000" in out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_what_may_not_be_read_or_written(run: Run, place: Path) -> None:
    (place / "closed").mkdir(mode=0o000)
    refused(run, "prepare closed o.zip", "closed: cannot be")
    refused(run, "prepare good closed/o.zip", "not writable")


def test_names_in_any_script_work_from_end_to_end(run: Run, place: Path) -> None:
    lines = ["file,label,group"]
    for i in range(24):
        draw(place / "Bil der ü" / f"Läsion {i} 皮.png")
        lines.append(f"Läsion {i} 皮.png,{'gut artig ö' if i % 2 else 'böse 皮'},Frau Ü {i // 2}")
    table(place / "Tab elle ü.csv", *lines)
    prepare = "prepare 'Bil der ü' 'Mein Satz ö.zip' --labels 'Tab elle ü.csv' --grid 'Bild ö.png'"
    for line in (
        prepare,
        "split 'Mein Satz ö.zip'",
        f"train --data 'Mein Satz ö.zip' --cond --outdir 'Läufe ö' --kimg 0.02 {TINY} --dry-run",
        f"train --data 'Mein Satz ö.zip' --cond --outdir 'Läufe ö' --kimg 0.02 {TINY}",
    ):
        code, out, err = run(line)
        assert code == 0, (out, err)
    network = next(Path("Läufe ö").iterdir())
    code, out, err = run(f"generate --network '{network}' --outdir 'Aus gabe ö' --seeds 0-1")
    assert code == 0, (out, err)
    names = sorted(path.name for path in Path("Aus gabe ö").iterdir())
    assert len(names) == 4 and any("皮" in name for name in names)
    assert set(open_archive(Path("Mein Satz ö.zip")).info.classes) == {"gut artig ö", "böse 皮"}
    _refuse_requests(run, network)


def _refuse_requests(run: Run, network: Path) -> None:
    for options, words in (
        ("--seeds 5-2", "'5-2' runs backwards, write 2-5"),
        ("--seeds 0-99999999999", "the largest seed is 4294967295"),
        ("--seeds 0-9999999,1", "more than 10 million seeds"),
        ("--seeds abc", "neither a number nor a range"),
        ("--class 'GUT artig Ö'", "did you mean 'gut artig ö'?"),
        ("--device tpu", "use auto, cpu, cuda or cuda:N"),
        ("--grid x.xyz", "pictures are PNG files"),
        ("--num 0", "--num 0: must be at least 1"),
    ):
        refused(run, f"generate --network '{network}' --outdir images {options}", words)
    refused(run, f"generate --network '{network}' --outdir text.txt", "text.txt is a file")
    refused(run, f"train --data '{network}'", "is a run directory; give the archive")


def test_a_split_says_again_that_there_are_no_groups(run: Run) -> None:
    assert run("prepare good nogroups.zip")[0] == 0
    code, out, _ = run("split nogroups.zip --val 0")
    assert code == 0 and "warning: no groups were given" in out


def test_labels_of_files_that_are_not_there_are_named(run: Run) -> None:
    rows = [f"{i}.png,a" for i in range(6)]
    table(Path("more.csv"), "file,label", *rows, "99.png,b")
    code, out, _ = run("prepare good more.zip --labels more.csv")
    assert code == 0 and "1 row(s) of more.csv are about no image" in out
    assert "row 8 (99.png)" in out


def test_names_with_line_breaks_stay_in_one_line(run: Run, place: Path) -> None:
    folder = place / "breaks"
    draw(folder / "a.png")
    (folder / "b\nc\x1b[2J.png").write_text("x")
    refused(run, "prepare breaks o.zip", "b c [2J.png")
