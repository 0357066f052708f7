"""No folder on a page for everybody."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synthograph.report.checklists import checklist_names
from synthograph.report.write import write_report
from tests.conftest import make_archive
from tests.report import material
from tests.results.examples import PLACES, SECRET

FIXED = {"kind", "answer", "metric", "images_hash", "networks", "origin", "file", "verdict"}
"""Entries whose text is no path, or a picture or network that must be found."""


def planted(value: Any, place: str, key: str = "") -> Any:
    """Plain data with a path in place of every text, or behind it where it is a sentence."""
    if isinstance(value, dict):
        return {name: planted(each, place, name) for name, each in value.items()}
    if isinstance(value, list):
        return [planted(each, place, key) for each in value]
    if not isinstance(value, str) or key in FIXED or value == "label":
        return value
    if key == "command":
        return f"synthograph audit --train {shlex.quote(place)} --outdir={shlex.quote(place)}"
    return f"{value}: {place}" if " " in value else place


def texts(value: Any) -> Iterator[str]:
    """All names and texts of plain data."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


def run(folder: Path, place: str) -> Path:
    path = material.run_directory(folder)
    config = {"data": {"path": place}, "more": [place, {"deep": place}], "model": {"family": "f"}}
    server = f"http://{SECRET}.example:5000"
    config["tracking"] = {"uri": server, "experiment": SECRET, "parent": SECRET}
    (path / "config.json").write_text(json.dumps(config))
    command = f"synthograph train --data {shlex.quote(place)} --desc={shlex.quote(place)}"
    command += f" --tracking-uri {server} --experiment {SECRET} --set tracking.parent={SECRET}"
    (path / "log.txt").write_text(
        f"{command}\ndata: {place}, 9 images\nsynthograph train 'x {place}\n"
    )
    with (path / "stats.jsonl").open("a") as file:
        file.write(material.stats_line(5.0, alarms=[f"cannot read {place}"]) + "\n")
    (path / "fakes-000002.png").write_bytes(b"broken")
    material.snapshot(
        path / "snapshots" / "generator-000009.safetensors",
        {"images_seen": 9, "classes": ["a", "b"], "split": place, "package_version": place},
    )
    return path


@pytest.mark.parametrize("place", [each for each in PLACES if each.endswith(".zip")])
def test_no_field_tells_a_folder(tmp_path: Path, place: str) -> None:
    folder = tmp_path / SECRET / "a b"
    made = run(folder, place)
    audit = material.audit_of(made)
    numbers = material.evaluation(material.entries(), shares=[material.share("a", 10, 20)])
    content = {
        "n.json": planted(numbers, place),
        "audit.json": planted(audit | {"notes": ["a note on"]}, place),
        "gap.json": planted(material.gap(), place),
        "table.json": planted(material.sensitivity(), place),
    }
    assert all(any(SECRET in text for text in texts(each)) for each in content.values())
    content["audit.json"]["pictures"] = {"pairs": "none.png"}
    paths = [material.write(folder / name, each) for name, each in content.items()]
    paths += [made, make_archive(folder / "set.zip", classes=(place, "b"))]
    whole = write_report(paths, tmp_path / "w.html")
    assert SECRET in whole.page.read_text() and SECRET in whole.data.read_text()
    written = write_report(
        paths,
        tmp_path / "p.html",
        public=True,
        title=f"A title in {place}",
        checklists=checklist_names(),
    )
    for file in (written.page, written.data, *written.checklists):
        found = file.read_text()
        around = [
            found[max(i - 60, 0) : i + 40] for i in range(len(found)) if found.startswith(SECRET, i)
        ]
        assert not around, around[:5]
    assert any("fakes-000002.png" in each for each in written.content.tree()["problems"])
    assert "x.zip" in written.page.read_text()


def test_sets_of_one_name_get_numbers(tmp_path: Path) -> None:
    content = material.gap()
    names = [f"/{SECRET}/a/cells.zip", f"/{SECRET}/b/cells.zip"]
    for each, name in zip(content["sets"], names, strict=True):
        each |= {"name": name, "archive": {"archive": "cells.zip"}}
    content["pairs"][0] |= {"one": names[0], "other": names[1]}
    content["pairs"][0]["sentence"] = f"{names[0]} and {names[1]} differ"
    content["notes"] = [f"{names[1]}: a note"]
    gap = material.write(tmp_path / "g.json", content)
    written = write_report([gap], tmp_path / "p.html", public=True)
    (found,) = written.content.tree()["domain_gaps"]
    assert [each["name"] for each in found["sets"]] == ["cells.zip", "cells.zip (2)"]
    assert found["pairs"][0]["sentence"] == "cells.zip and cells.zip (2) differ"
    assert found["notes"] == ["cells.zip (2): a note"]
    assert "<title>cells.zip (2), a</title>" in written.page.read_text()


def test_folders_without_a_root_stand_in_no_setting_and_no_line_of_the_log(tmp_path: Path) -> None:
    path = material.run_directory(tmp_path)
    place = f"{SECRET}/cells"
    config = {"data": {"path": place}, "model": {"family": "f", "note": "N/A"}}
    (path / "config.json").write_text(json.dumps(config))
    (path / "log.txt").write_text(f"synthograph train --data {place}\ndata: {place}, 9 images\n")
    written = write_report([path], tmp_path / "p.html", public=True)
    for file in (written.page, written.data):
        assert SECRET not in file.read_text()
    assert written.content.tree()["runs"][0]["settings"][0] == ["data.path", "cells"]
