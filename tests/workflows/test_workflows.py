"""Jobs as functions."""

import os
from pathlib import Path

import pytest

import synthograph
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.workflows import run
from synthograph.workflows.requests import PhantomRequest


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (("skin", "a.zip", "b.zip"), {}, r"takes 2 values by place \(kind, dest\), got 3"),
        (("skin",), {}, "setting 'dest': must be given"),
        (("skin", "a.zip"), {"cuont": 3}, "did you mean 'count'"),
        (("skin", "a.zip"), {"count": 0}, "setting 'count': must be at least 1, got 0"),
    ],
)
def test_refusals(tmp_path: Path, given: tuple, options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        synthograph.phantom(*given, **options)


def test_keywords_a_request_and_the_workflow_do_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)

    def request(name: str) -> PhantomRequest:
        return PhantomRequest(kind="skin", dest=tmp_path / name, count=3, size=16)

    results = [
        synthograph.phantom("skin", tmp_path / "a.zip", count=3, size=16),
        synthograph.phantom(request("b.zip"), progress=Silent()),
        run(request("c.zip"), progress=Silent()),
    ]
    for name, result in zip("abc", results, strict=True):
        assert result.archive == tmp_path / f"{name}.zip" and result.archive.is_file()
        assert repr(result).splitlines()[0].endswith("3 images, 16x16, image 3 channels, 8 bit")


def test_paths_of_a_report_are_values_by_place(tmp_path: Path) -> None:
    run_directory, evaluation = tmp_path / "run", tmp_path / "evaluation.json"
    run_directory.mkdir()
    for given in ((run_directory, evaluation), ([run_directory, evaluation],)):
        with pytest.raises(UserError, match=r"^\S+/(run|evaluation\.json): "):
            synthograph.report(*given, out=tmp_path / "page.html")
    with pytest.raises(UserError, match=r"^\S+/evaluation\.json: "):
        synthograph.report(evaluation, out=tmp_path / "page.html")
