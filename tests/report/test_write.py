"""The page and its JSON from files, good and bad."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from synthograph.archive.manifest import Row
from synthograph.archive.reader import ArchiveInfo, open_archive
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.report import pictures
from synthograph.report.document import UNCHECKED, judged_archive
from synthograph.report.gather import gather
from synthograph.report.page import Mark, progress
from synthograph.report.runs import read_run
from synthograph.report.write import MAX_PAGE_BYTES, write_report
from synthograph.results import Evaluation
from tests.conftest import make_archive
from tests.report import material

SITES = (("a", 12), ("b", 16))
MEAN = "<script>document.title = 'run'</script>"


class FirstPage(HTMLParser):
    """The words that are seen while everything is folded."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("details", "summary", "style", "script", "title"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open in ([], ["details", "summary"]):
            self.words += data.split()


class Elements(HTMLParser):
    """Every element with its attributes, and the text outside of style and script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._skip = "", False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._skip = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._skip = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._skip else data


def everything(folder: Path) -> list[Path]:
    """One of each kind of file."""
    run = material.run_directory(folder)
    classes = [*material.entries(level=MEAN), *material.entries()]
    shares = [material.share(MEAN, 10, 20)]
    numbers = material.write(folder / "n.json", material.evaluation(classes, shares=shares))
    audit = material.write(folder / "audit" / "audit.json", material.audit()).parent
    (audit / "pairs.png").write_bytes(material.png())
    gap = material.write(folder / "gap" / "domain-gap.json", material.gap()).parent
    (gap / "sprite.png").write_bytes(material.png(24, 24))
    table = material.write(folder / "table.json", material.sensitivity())
    real = make_archive(folder / "set.zip", classes=(MEAN, "b"))
    return [run, numbers, audit, gap, table, real]


def test_whole_page(tmp_path: Path) -> None:
    written = write_report(everything(tmp_path), tmp_path / "r.html")
    page = written.page.read_text()
    seen = Elements(page)
    assert written.size == len(page.encode()) < MAX_PAGE_BYTES
    assert not written.content.tree()["problems"]
    assert [v["headline"] for v in written.content.tree()["verdicts"]] == [
        "Indication: not distinguishable from real images",
        "Indication: as varied as real images",
        "No copies found",
        "Not studied yet",
    ]
    for words in (
        "A limit",
        "51 % are closer",
        "0.800",
        "1 pixel",
        "1 alarm",
        "r1_gamma",
        "99",
        "look like training images at 0.1",
        "images to withhold3",  # of the list that the audit writes
        "equal a training image in every pixel0",
        "upper 95 % limit of the share of copies at 0.1\N{NO-BREAK SPACE}% false alarms1.5",
        "0.431 to 0.587",  # of an attack's area
        "0.0123set.zip, 0.0111 to 0.0135",  # the floor of a kernel distance
    ):
        assert words in seen.text, words
    kinds = {"run", "evaluation", "audit", "domain gap", "sensitivity of measures"}
    assert kinds <= {f["kind"].replace("configuration of a run", "run") for f in _files(written)}
    assert json.loads(written.data.read_text()) == json.loads(
        json.dumps(written.content.tree(), default=str)
    )


def test_the_first_page_is_short_and_the_rest_folds(tmp_path: Path) -> None:
    """At most 400 words, with four verdicts of the longest kind and all that a page can hold."""
    *paths, real = everything(tmp_path)
    made = tmp_path / "made.zip"
    made.write_bytes(real.read_bytes())
    (tmp_path / "audit" / "audit.json").unlink()
    far = [e for e in material.entries(level=MEAN) if e["name"] in ("frechet", "recall")]
    material.write(tmp_path / "n.json", material.evaluation(far, material.entries()[:1]))
    (tmp_path / "audit" / "pairs.png").unlink()
    paths.remove(tmp_path / "audit")
    for number, given in enumerate(([*everything(tmp_path / "full")], [*paths, real])):
        page = write_report(given, tmp_path / f"{number}.html").page.read_text()
        seen = FirstPage(page).words
        assert 150 < len(seen) <= 400, " ".join(seen)
        words = " ".join(seen)
        assert "Faithful?" in words and "The numbers" in words
        assert "95 % interval" not in words  # these are below a fold


def _files(written) -> list[dict[str, str]]:
    return written.content.tree()["provenance"]["files"]


def test_nothing_is_loaded_and_no_markup_of_files_runs(tmp_path: Path) -> None:
    paths = everything(tmp_path)
    (paths[0] / "log.txt").write_text("synthograph train <img src=x onerror=alert(1)>\n<b>hi\n")
    page = write_report(paths, tmp_path / "r.html", title=MEAN).page.read_text()
    elements = Elements(page).found
    assert sum(tag == "script" for tag, _ in elements) == 1  # our own
    assert MEAN not in page
    assert "&lt;script&gt;document.title" in page
    assert not [a for _, a in elements if any(name.startswith("on") for name in a)]
    addresses = [a[name] or "" for _, a in elements for name in ("src", "href") if name in a]
    assert addresses
    assert all(each.startswith(("data:", "#")) for each in addresses)
    assert not re.search(r"url\((?!#)", re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL))
    assert not re.search(r"https?://(?!www\.w3\.org/)", page)
    policy = next(a for tag, a in elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'; img-src data:;")  # type: ignore[union-attr]


def test_what_is_missing_is_said_with_its_command(tmp_path: Path) -> None:
    numbers = material.write(tmp_path / "n.json", material.evaluation(material.entries()))
    written = write_report([numbers], tmp_path / "r.html")
    text = Elements(written.page.read_text()).text
    assert "No audit yet" in text
    assert "synthograph audit --synthetic made.zip --train set.zip:train" in text
    assert "synthograph domain-gap set.zip" in text
    assert "No run directory was given" in text
    what = {each["what"] for each in written.content.tree()["missing"]}
    assert what == {"training", "audit", "domain map", "sensitivity", "study"}
    alone = write_report([material.run_directory(tmp_path)], tmp_path / "run.html")
    run = next(tmp_path.glob("0*"))
    text = Elements(alone.page.read_text()).text
    assert f"synthograph evaluate {run} --real REAL.zip:test --out evaluation.json" in text


def test_how_generated_images_were_made(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path / "made.zip", {})
    pixels = {"image": np.zeros((16, 16, 3), np.uint8)}
    for seed in range(6):
        columns = {"seed": str(seed), "truncation": "0.7", "noise": "random" if seed < 2 else ""}
        row = Row("", None, "synthetic-1", origin="synthetic", columns=columns)
        writer.add([encode(pixels, None, row)])
    spec = ImageSpec(height=16, width=16, modalities={"image": 3}, bits=8)
    writer.finish(ArchiveInfo(spec=spec))
    written = write_report([tmp_path / "made.zip"], tmp_path / "r.html")
    text = " ".join(Elements(written.page.read_text()).text.split())
    assert "Seeds 0 to 5. Truncation 0.7 (6 images). Noise random (2 images)." in text


def test_archives_of_two_sites_that_are_called_alike_both_stand_there(tmp_path: Path) -> None:
    sites = [make_archive(tmp_path / n / "data.zip", namespace=n, count=c) for n, c in SITES]
    runs = [material.run_directory(tmp_path / name) for name, _ in SITES]
    for run, data in zip(runs, sites, strict=True):
        (run / "config.json").write_text(json.dumps({"data": {"path": str(data)}}))
    copy = tmp_path / "data.zip"
    copy.write_bytes(sites[0].read_bytes())
    for given in (runs, [*runs, sites[0]], [copy, *runs]):
        found = gather(given)
        assert sorted(len(each.archive.rows) for each in found.archives) == [12, 16], given


def test_a_mixture_counts_as_synthetic_what_is(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path / "mixed.zip", {})
    for number in range(12):
        pixels = {"image": np.full((16, 16, 3), number, np.uint8)}
        split = ("train", "test")[number % 2]  # so the patient lies in both
        row = Row("", "a", "P0", split=split)
        if number < 3:
            row = Row("", "a", "synthetic-1", origin="synthetic", split="train")
        writer.add([encode(pixels, None, row)])
    spec = ImageSpec(height=16, width=16, modalities={"image": 3})
    writer.finish(ArchiveInfo(classes=["a"], spec=spec, namespace="mixed"))
    written = write_report([tmp_path / "mixed.zip"], tmp_path / "r.html")
    (found,) = written.content.tree()["sets"]
    assert found["kind"] == "mixture" and found["synthetic_images"] == 3
    assert written.content.summary.startswith("3 synthetic images among 9 real images of 1 class")
    text = " ".join(Elements(written.page.read_text()).text.split())
    assert "12 images, 3 of them synthetic" in text
    assert "1 group of them, such as patients, lie in two splits" in text
    assert [split["groups"] for split in found["splits"]] == [1, 1]
    (file,) = _files(written)
    assert file["kind"] == "archive of real and synthetic images"


def test_public_page_shows_no_real_image_and_no_folder(tmp_path: Path) -> None:
    paths = everything(tmp_path)
    old = "the generator saw 1 of the 2 groups of set.zip only, not 'secret-patient': less is seen"
    new = "the generator saw only 1 of the 2 groups of set.zip; it did not see 1 group"
    notes = [old, f"{new}, such as 'secret-patient'"]
    material.write(paths[2] / "audit.json", material.audit_of(paths[0]) | {"notes": notes})
    made = make_archive(tmp_path / "made.zip", classes=(MEAN, "b"), seed=1)
    whole = write_report([*paths, made], tmp_path / "r.html").page.read_text()
    written = write_report([*paths, made], tmp_path / "p.html", public=True)
    page = written.page.read_text()
    assert "Real images that the generator was trained on" in whole
    assert "Real images are left out" in page
    for private in ("/nowhere", str(tmp_path), "secret-patient"):
        assert private in whole
        assert private not in page
        assert private not in written.data.read_text()
    assert new in Elements(page).text
    uris = set(re.findall(r'src="(data:image[^"]+)"', page))
    assert len(uris) == 4  # pictures of the run that show generated images


def test_an_existing_page_stays(tmp_path: Path) -> None:
    numbers = material.write(tmp_path / "n.json", material.evaluation(material.entries()))
    page = tmp_path / "r.html"
    write_report([numbers], page)
    with pytest.raises(UserError, match=r"r\.html exists already: .*--force"):
        write_report([numbers], page)
    before = page.read_bytes()
    write_report([numbers], page, force=True)
    assert page.read_bytes() == before  # and the same files give the same page
    page.unlink()
    with pytest.raises(UserError, match=r"r\.json exists already"):
        write_report([numbers], page)
    with pytest.raises(UserError, match="give a name such as report.html"):
        write_report([numbers], tmp_path / "page.pdf")


def test_the_json_of_others_is_never_replaced(tmp_path: Path) -> None:
    audit = material.write(tmp_path / "audit.json", material.audit())
    before = audit.read_bytes()
    for force in (False, True):
        with pytest.raises(UserError, match=r"audit\.json, which no report wrote.*audit-report"):
            write_report([tmp_path], tmp_path / "audit.html", force=force)
    (tmp_path / "odd.json").write_text("{")
    with pytest.raises(UserError, match="which no report wrote"):
        write_report([audit], tmp_path / "odd.html", force=True)
    assert audit.read_bytes() == before


def test_a_named_page_that_is_replaced_is_told(tmp_path: Path) -> None:
    numbers = material.write(tmp_path / "n.json", material.evaluation(material.entries()))
    first = write_report([numbers], tmp_path / "r.html")
    again = write_report([numbers, first.data], first.page, force=True)
    assert any(
        "r.json: is the JSON of an earlier page" in p for p in again.content.tree()["problems"]
    )
    with pytest.raises(UserError, match="is the JSON of the page itself"):
        write_report([first.data], first.page, force=True)


def test_own_json_is_no_source(tmp_path: Path) -> None:
    material.write(tmp_path / "in" / "n.json", material.evaluation(material.entries()))
    write_report([tmp_path / "in"], tmp_path / "in" / "r.html")
    again = write_report([tmp_path / "in"], tmp_path / "in" / "r.html", force=True)
    assert not again.content.tree()["problems"]


def test_the_json_of_another_version_is_known_as_a_page(tmp_path: Path) -> None:
    numbers = material.write(tmp_path / "in" / "n.json", material.evaluation(material.entries()))
    later = {"kind": "report", "schema_version": 99, "title": "t", "verdicts": [{"answer": 1}]}
    data = material.write(tmp_path / "in" / "r.json", later)
    written = write_report([numbers.parent], data.with_suffix(".html"), force=True)
    assert not written.content.problems
    assert json.loads(data.read_text())["verdicts"][0]["question"]
    lists = material.write(tmp_path / "audit.json", {"kind": "report", "title": "t"})
    with pytest.raises(UserError, match="which no report wrote"):
        write_report([numbers], lists.with_suffix(".html"), force=True)


def test_broken_lines_are_counted(tmp_path: Path) -> None:
    run = material.run_directory(tmp_path)
    with (run / "stats.jsonl").open("a") as file:
        file.write('{"Progress/kimg"\n[1]\n{"Progress/kimg": {"mean": "x"}}\n{"a": NaN}\n')
    (run / "metrics.jsonl").write_text('{"entries": 3}\n')
    found = gather([run]).runs[0]
    assert len(found.curves.kimg) == 5
    assert any(str(p).startswith("stats.jsonl: 4 lines could not be read") for p in found.problems)
    assert any(str(p).startswith("metrics.jsonl: 1 line could not") for p in found.problems)
    text = Elements(write_report([run], tmp_path / "r.html").page.read_text()).text
    assert "4 lines could not be read" in text


def test_measures_over_snapshots(tmp_path: Path) -> None:
    run = material.run_directory(tmp_path)
    lines = []
    for kimg in (2, 4):
        content = material.evaluation(material.entries())["results"][0]
        lines.append(json.dumps({**content, "metric": "held_out", "kimg": kimg}))
    (run / "metrics.jsonl").write_text("\n".join(lines))
    written = write_report([run], tmp_path / "r.html")
    page = written.page.read_text()
    assert "Distance of the sets (kernel), random-vgg16" in page
    assert "They choose the best snapshot, so no verdict uses them" in page
    assert written.content.tree()["evaluation"] is None
    judged = lines[1].replace("held_out", "evaluation")
    (run / "metrics.jsonl").write_text(f"{lines[0]}\n{judged}\n")
    again = write_report([run], tmp_path / "r.html", force=True)
    assert again.content.tree()["evaluation"]["kimg"] == 4


@pytest.mark.parametrize("chosen", [True, False])
def test_curves_of_a_training_have_one_reference(tmp_path: Path, *, chosen: bool) -> None:
    run = material.run_directory(tmp_path)
    lines = []
    for kimg, name, value in ((2, "set.zip:val", 0.25), (4, "set.zip:val", 0.5), (4, "test", 0.75)):
        found = material.entry("frechet", same=0.5, value=value)
        found["provenance"]["real"]["name"] = name
        held_out = {"metric": "held_out"} if chosen and name != "test" else {}
        lines.append({**material.evaluation([found])["results"][0], "kimg": kimg, **held_out})
    for name, some in (("metrics", lines[:2]), ("evaluations", lines[2:])):
        (run / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in some))
    (curve,) = progress(read_run(run), 0)
    assert curve["caption"].startswith("Fréchet distance, random-vgg16")
    assert ("set.zip:val" in curve["caption"]) is not chosen, "told where there are several"
    (run / "evaluations.jsonl").unlink()
    (alone,) = progress(read_run(run), 0)
    assert curve["svg"] == alone["svg"], "those of the test images are no part of it"


def of_network(extractor: str, images: int = 60, **more: object) -> dict[str, Any]:
    """A line of `evaluations.jsonl`: images that were drawn of a snapshot."""
    content = material.evaluation(material.entries(extractor=extractor))["results"][0]
    drawn = {"name": "g.safetensors", "snapshot": "aa" * 32, "seeds": [0, images - 1]}
    for entry in content["entries"]:
        entry["provenance"]["generated"] = drawn
    return {**content, "snapshot": "g.safetensors", "snapshot_sha256": "aa" * 32, "kimg": 4, **more}


def test_extractors_that_a_run_holds_come_together(tmp_path: Path) -> None:
    run = material.run_directory(tmp_path)
    lines = [of_network("efficientnet-lite0"), of_network("random-vgg16")]
    (run / "evaluations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    named = material.evaluation() | {"results": [of_network("dinov2")]}
    more = material.write(tmp_path / "more.json", named)
    for paths, extractors in (([run], set()), ([run, more], {"dinov2"}), ([more, run], {"dinov2"})):
        found = write_report(paths, tmp_path / "r.html", force=True).content.tree()
        both = {"efficientnet-lite0", "random-vgg16"}
        assert set(found["evaluation"]["extractors"]) == both | extractors
        assert not found["other_evaluations"]
        assert not any("A second network is missing" in str(v) for v in found["verdicts"])


def test_numbers_of_more_images_of_a_network_stand_by_themselves(tmp_path: Path) -> None:
    run = material.run_directory(tmp_path)
    few, many = of_network("efficientnet-lite0"), of_network("random-vgg16", images=5000)
    (run / "evaluations.jsonl").write_text(json.dumps(few) + "\n" + json.dumps(many) + "\n")
    found = write_report([run], tmp_path / "r.html").content.tree()
    assert set(found["evaluation"]["extractors"]) == {"random-vgg16"}
    said = str(found["verdicts"])
    assert "--features efficientnet-lite0 --num 5000 --seed 7 --out" in said, "of the same images"
    paths = [
        material.write(tmp_path / f"{place}.json", material.evaluation() | {"results": [line]})
        for place, line in enumerate((few, many, of_network("dinov2", snapshot_sha256="bb" * 32)))
    ]
    assert len(gather(paths).numbers) == 3


def test_tables_of_sensitivities_that_evaluate_wrote(tmp_path: Path) -> None:
    line = {"metric": "sensitivity", "extractor": "m", "sensitivity": material.sensitivity()}
    content = material.evaluation(material.entries())
    numbers = {**content["results"][0], "metric": "evaluation"}
    file = material.write(tmp_path / "n.json", {**content, "results": [numbers, line]})
    run = material.run_directory(tmp_path)
    (run / "evaluations.jsonl").write_text(f"{json.dumps(numbers)}\n{json.dumps(line)}\n")
    for number, path in enumerate((file, run)):
        written = write_report([path], tmp_path / f"{number}.html")
        (table,) = written.content.tree()["sensitivities"]
        assert table["rows"] == [["blur", "1 pixel"]]
        assert "1 pixel" in Elements(written.page.read_text()).text
        assert written.content.tree()["evaluation"] is not None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_several_audits_the_worst_counts(tmp_path: Path, order: tuple[int, int]) -> None:
    numbers = material.write(tmp_path / "n.json", material.evaluation(material.entries()))
    answers = ("copies found", "clean")
    audits = [
        material.write(tmp_path / f"{place}" / "audit.json", material.audit(answers[number]))
        for place, number in enumerate(order)
    ]
    for paths in ([numbers, *audits], audits):
        written = write_report(paths, tmp_path / "r.html", force=True)
        faithful, _, copies, _ = written.content.tree()["verdicts"]
        assert copies["answer"] == "found"
        assert any("2 audits were given" in reason for reason in copies["reasons"])
        assert faithful["answer"] in ("withheld", "not studied yet")


@pytest.mark.parametrize(
    ("notes", "split", "train", "said"),
    [
        ((), "test", True, "By its own record, the generator was not trained on them."),
        (
            (f"the generator {UNCHECKED}, so whether it saw them cannot be checked",),
            "test",
            True,
            "The generator does not say what it was trained on",
        ),
        (
            ("a.zip, the training archive, is not where it was: names cannot be checked",),
            "test",
            True,
            "By its own record, the generator was not trained on them.",
        ),
        ((), "train", True, "which their split calls training images"),
        ((), "test", False, "Nothing in the numbers says whether the generator saw them"),
        (("2 images of a equal training images",), "test", True, "but 2 images of a equal"),
    ],
)
def test_the_lead_says_only_what_was_checked(
    tmp_path: Path, notes: tuple[str, ...], split: str, *, train: bool, said: str
) -> None:
    content = material.evaluation(material.entries())
    content["results"][0]["notes"] = list(notes)
    for each in content["results"][0]["entries"]:
        each["provenance"]["real"]["split"] = split
        if not train:
            del each["provenance"]["train"]
    written = write_report([material.write(tmp_path / "n.json", content)], tmp_path / "r.html")
    assert said in written.content.tree()["summary"]
    assert "never shown" not in written.content.tree()["summary"]


def test_a_public_page_shows_generated_images_after_a_clean_audit_only(tmp_path: Path) -> None:
    run = material.run_directory(tmp_path)
    for answer, shown in (("clean", True), ("copies found", False), (None, False)):
        audit = tmp_path / "audit.json"
        material.write(audit, material.audit_of(run, answer or "clean"))
        paths = [run, audit] if answer else [run]
        written = write_report(paths, tmp_path / "p.html", public=True, force=True)
        elements = Elements(written.page.read_text())
        frames = [a for tag, a in elements.found if tag == "img" and "data-at" in a]
        assert bool(frames) == shown
        assert ("Synthetic images are left out of this page" in elements.text) != shown
        whole = write_report(paths, tmp_path / "w.html", force=True).page.read_text()
        assert 'data-at="4"' in whole


def public_frames(paths: list[Path], page: Path) -> tuple[int, str]:
    """How many pictures of synthetic images a page for everybody has, and why some are left out."""
    written = write_report(paths, page, public=True, force=True)
    found = Elements(written.page.read_text()).found
    frames = [a for tag, a in found if tag == "img" and "data-at" in a]
    return len(frames), written.content.pictures_left_out


def test_a_clean_audit_shows_images_of_its_own_network_only(tmp_path: Path) -> None:
    one, other = (material.run_directory(tmp_path / name) for name in ("one", "other"))
    other = other.rename(other.with_name("00001-other"))
    header = other / "snapshots" / "generator-000004.safetensors"
    material.snapshot(header, {"images_seen": 4000, "classes": ["other"]})
    numbers = material.write(tmp_path / "n.json", material.evaluation(material.entries()))
    clean = material.write(tmp_path / "clean.json", material.audit_of(one))
    copies = material.write(tmp_path / "copies.json", material.audit_of(other, "copies found"))
    page = tmp_path / "p.html"
    for paths in ([one, other, clean], [one, other, numbers, clean]):
        shown, why = public_frames(paths, page)
        assert shown == 4, "those of one run"
        assert why == (
            "Synthetic images of 00001-other are left out of this page, since no audit of images "
            "that its network made says that they are no copies."
        )
    shown, why = public_frames([one, other, clean, copies], page)
    assert shown == 4 and why.endswith("since an audit says: copies found.")
    assert public_frames([other, clean], page)[0] == 0


def test_the_archive_says_whose_images_an_older_audit_searched(tmp_path: Path) -> None:
    run = material.run_directory(tmp_path)
    (network,) = read_run(run).networks
    writer = ArchiveWriter(tmp_path / "made.zip", {})
    pixels = {"image": np.zeros((16, 16, 3), np.uint8)}
    writer.add([encode(pixels, None, Row("", None, "synthetic-1", origin="synthetic"))])
    spec = ImageSpec(height=16, width=16, modalities={"image": 3})
    writer.finish(ArchiveInfo(spec=spec, namespace="made", snapshots=[{"sha256": network}]))
    made, older = open_archive(tmp_path / "made.zip"), material.audit()
    older["sets"]["synthetic"]["images_hash"] = made.images_hash
    audit = material.write(tmp_path / "audit.json", older)
    shown, why = public_frames([run, audit], tmp_path / "p.html")
    assert shown == 0 and "give the archive that was audited, too" in why
    assert public_frames([run, audit, made.path], tmp_path / "p.html") == (4, "")


def test_a_long_record_of_training_images_is_counted(tmp_path: Path) -> None:
    run = material.run_directory(tmp_path)
    document = {"images_seen": 9, "image_digests": [""] * 100_001, "group_digests": ["0", "1"]}
    material.snapshot(run / "snapshots" / "generator-000009.safetensors", document)
    written = write_report([run], tmp_path / "r.html")
    assert written.content.tree()["runs"][0]["network"]["images"] == 100_001
    assert "100\N{NO-BREAK SPACE}001 images of 2 groups" in written.content.tree()["summary"]


def test_more_than_six_sets_look_different(tmp_path: Path) -> None:
    marks = [Mark.of(place) for place in range(72)]
    assert len(set(marks)) == 72
    assert len({(mark.shape, "hollow" in mark.classes) for mark in marks[:12]}) == 12
    content = material.gap(8)
    content["sets"] = [{"name": f"s{number}"} for number in range(8)]
    content["map"]["set"] = list(range(8))
    del content["thumbnails"]
    written = write_report([material.write(tmp_path / "g.json", content)], tmp_path / "r.html")
    drawn = [a for tag, a in Elements(written.page.read_text()).found if tag == "use"]
    assert len({(a["href"], a["class"]) for a in drawn}) == 8


def test_an_audit_of_other_images_counts_for_nothing(tmp_path: Path) -> None:
    numbers = material.write(tmp_path / "n.json", material.evaluation(material.entries()))
    other = material.audit()
    other["sets"]["synthetic"]["images_hash"] = "other"
    audit = material.write(tmp_path / "audit.json", other)
    written = write_report([numbers, audit], tmp_path / "r.html")
    faithful, _, copies, _ = written.content.tree()["verdicts"]
    assert faithful["answer"] == "withheld"
    assert copies["answer"] == "not studied yet"
    assert "is of other images" in copies["reasons"][0]


def test_measures_of_synthetic_images_alone_speak_of_no_real_ones(tmp_path: Path) -> None:
    alone = [material.noise_entry(0.4), material.noise_entry(0.6, "a")]
    numbers = material.write(tmp_path / "n.json", material.evaluation(alone))
    written = write_report([numbers], tmp_path / "r.html")
    text = Elements(written.page.read_text()).text
    said = written.content.tree()["evaluation"]["entries"][0]["sentence"]
    assert said.startswith("Noise share 40") and said.endswith(", 200 synthetic images.")
    assert said in text
    assert "Too few real" not in text and "too few real" not in text
    assert " 0 real" not in text and "class a–200" in text
    both = material.write(tmp_path / "b.json", material.evaluation([*alone, *material.entries()]))
    page = Elements(write_report([both], tmp_path / "both.html").page.read_text()).text
    assert "200 synthetic and 200 real images of 100 groups" in page


def test_extractors_of_several_files_come_together(tmp_path: Path) -> None:
    one = material.write(tmp_path / "1.json", material.evaluation(material.entries()))
    trained = material.evaluation(material.entries(extractor="dinov2"))
    two = material.write(tmp_path / "2.json", trained)
    audit = material.write(tmp_path / "audit.json", material.audit())
    written = write_report([one, two, audit], tmp_path / "r.html")
    assert written.content.tree()["verdicts"][0]["answer"] == "yes"
    assert set(written.content.tree()["evaluation"]["extractors"]) == {"random-vgg16", "dinov2"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "something"}, "is none of the files of results"),
        ([1], "holds a list, expected an object"),
        ({**material.audit("fine")}, "answer 'fine' is none of clean"),
        ({**material.audit(), "tests": {}}, "tests is an object, expected a list"),
        ({**material.gap(), "map": {"points": [[0, "x"]]}}, r"map.points\[0\]\[1\] is a text"),
        ({**material.gap(), "map": {"points": [[0, 1]], "set": [1, 2]}}, "1 points, but 2 entries"),
        ({"results": [{"entries": [{"value": True}]}]}, "value is true or false, expected a numb"),
        ({"results": [{"entries": [{"interval": [2, 1]}]}]}, "a lower and an upper end"),
        ({"results": [{"entries": [{"n_real": -1}]}]}, "n_real is -1, expected a whole number"),
    ],
)
def test_files_of_other_forms_are_refused(tmp_path: Path, content: object, message: str) -> None:
    path = material.write(tmp_path / "x.json", content)
    with pytest.raises(UserError, match=message):
        gather([path])


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file or folder"):
        gather([tmp_path / "none"])
    with pytest.raises(UserError, match="holds no JSON file"):
        gather([tmp_path])
    (tmp_path / "runs").mkdir()
    run = material.run_directory(tmp_path / "runs")
    with pytest.raises(UserError, match=f"is a folder of 1 run.*{run.name}"):
        gather([run.parent])
    material.write(tmp_path / "x.json", {"a": 1})
    with pytest.raises(UserError, match="none of its JSON files belongs"):
        gather([tmp_path])
    material.write(tmp_path / "n.json", material.evaluation(material.entries()))
    found = gather([tmp_path])  # one that does not belong is told, the other read
    assert len(found.numbers) == len(found.problems) == 1


def test_large_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(40 << 20)
    with pytest.raises(UserError, match="40 MiB; a file of its kind has at most 32 MiB"):
        gather([path])


def test_pictures_lie_beside_their_json(tmp_path: Path) -> None:
    content = {**material.audit(), "pictures": {"pairs": "../../secret.png"}}
    audit = material.write(tmp_path / "audit.json", content)
    written = write_report([audit], tmp_path / "r.html")
    assert any("does not lie beside it" in p for p in written.content.tree()["problems"])


def test_broken_pictures_are_told(tmp_path: Path) -> None:
    run = material.run_directory(tmp_path)
    (run / "reals.png").write_bytes(b"no picture")
    (run / "fakes-000002.png").write_bytes(material.png()[:60])
    written = write_report([run], tmp_path / "r.html")
    assert len(written.content.tree()["problems"]) == 2
    assert "reals.png: is not a PNG file" in " ".join(written.content.tree()["problems"])


def test_a_film_keeps_the_last_and_says_what_was_left_out(tmp_path: Path) -> None:
    run = material.run_directory(tmp_path, pictures=70)
    written = write_report([run], tmp_path / "r.html")
    seen = Elements(written.page.read_text())
    frames = [a for tag, a in seen.found if tag == "img" and "data-at" in a]
    assert len(frames) == pictures.MAX_FRAMES
    assert frames[-1]["data-at"] == "70"
    assert [a for a in frames if "hidden" not in a] == [frames[-1]]  # seen without scripts, too
    assert "30 of 70 pictures are shown" in seen.text


def test_large_pictures_become_small() -> None:
    noise = Image.effect_noise((3000, 1500), 90).convert("RGB")
    small = pictures.embed(noise, 200_000)
    assert len(small.uri) < 210_000
    assert small.width <= pictures.MAX_WIDTH
    assert not small.exact
    assert abs(small.width / small.height - 2) < 0.02


def test_real_beside_generated(tmp_path: Path) -> None:
    real = open_archive(make_archive(tmp_path / "a.zip"))
    assert pictures.side_by_side(real, real) is not None
    other = open_archive(make_archive(tmp_path / "b.zip", size=(8, 8)))
    assert pictures.side_by_side(real, other) is None


@pytest.mark.parametrize(
    ("size", "side", "columns"), [(16, 128, 6), (64, 128, 6), (100, 200, 4), (300, 300, 3)]
)
def test_images_stand_twice_as_large(tmp_path: Path, size: int, side: int, columns: int) -> None:
    real = open_archive(make_archive(tmp_path / "a.zip", size=(size, size), classes=()))
    sheet = pictures.side_by_side(real, real)
    assert sheet is not None
    assert pictures._enlarged(size, size) == (side // size, columns)
    assert sheet.height > side  # one row, since no image is synthetic
    assert sheet.width > columns * side


def test_the_worst_synthetic_images_have_a_row(tmp_path: Path) -> None:
    real = make_archive(tmp_path / "set.zip")
    writer = ArchiveWriter(tmp_path / "made.zip", {})
    for value in range(12):
        pixels = {"image": np.full((16, 16, 3), 20 * value, np.uint8)}
        label = ("dark", "bright")[value % 2]
        writer.add([encode(pixels, None, Row("", label, "g", origin="synthetic"))])
    spec = ImageSpec(height=16, width=16, modalities={"image": 3})
    writer.finish(ArchiveInfo(classes=["dark", "bright"], spec=spec, namespace="made"))
    made = open_archive(tmp_path / "made.zip")
    files = {row.label: [r.file for r in made.rows if r.label == row.label] for row in made.rows}
    content = material.evaluation(material.entries())
    content["results"][0]["farthest"] = [
        {"extractor": "x", "label": label, "files": each[:2], "distances": [2.0, 1.0]}
        for label, each in files.items()
    ]
    numbers = material.write(tmp_path / "n.json", content)
    paths = [numbers, real, made.path]
    without = write_report(paths, tmp_path / "without.html").page.read_text()
    assert "To show the worst ones, too" in without  # of another archive
    for entry in content["results"][0]["entries"]:
        entry["provenance"]["generated"]["images_hash"] = made.images_hash
    material.write(numbers, content)
    page = write_report(paths, tmp_path / "r.html").page.read_text()
    assert "by the features of x" in page
    plain = pictures.side_by_side(open_archive(real), made)
    farthest = Evaluation.parse(content, "n").results[0].farthest
    worst = pictures.side_by_side(open_archive(real), made, farthest)
    assert plain is not None and worst is not None
    assert worst.height == plain.height + 2 * 130
    public = write_report(paths, tmp_path / "p.html", public=True, force=True)
    assert files["dark"][0] not in public.data.read_text() + public.page.read_text()


def test_without_torch(tmp_path: Path) -> None:
    paths = everything(tmp_path)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from synthograph.report.write import write_report\n"
        "write_report([Path(p) for p in sys.argv[2:]], Path(sys.argv[1]))\n"
        "assert 'torch' not in sys.modules"
    )
    words = [sys.executable, "-c", code, tmp_path / "r.html", *paths]
    subprocess.run([str(word) for word in words], check=True)


def test_of_several_sets_the_page_shows_the_one_that_its_numbers_are_of(tmp_path: Path) -> None:
    made = []
    for name, count in (("first.zip", 3), ("second.zip", 5)):
        writer = ArchiveWriter(tmp_path / name, {})
        for number in range(count):
            pixels = {"image": np.full((8, 8, 1), number, np.uint8)}
            writer.add(
                [encode(pixels, None, Row("", None, f"{name} {number}", origin="synthetic"))]
            )
        spec = ImageSpec(height=8, width=8, modalities={"image": 1})
        writer.finish(ArchiveInfo(classes=[], spec=spec, namespace="n"))
        made.append(open_archive(tmp_path / name))
    content = material.evaluation(material.entries())
    for entry in content["results"][0]["entries"]:
        entry["provenance"]["generated"] |= {"images_hash": made[1].images_hash}
    numbers = material.write(tmp_path / "n.json", content)
    for order in (made, made[::-1]):
        paths = [numbers, *(archive.path for archive in order)]
        said = write_report(paths, tmp_path / "r.html", force=True).content.tree()["summary"]
        assert said.startswith("5 synthetic images, 8 × 8 pixels.")
        assert judged_archive(gather(paths)).archive.images_hash == made[1].images_hash
