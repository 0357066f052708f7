"""Jobs as functions."""

from pathlib import Path

import pytest

import synthograph
from synthograph.archive import convert
from synthograph.core import devices
from synthograph.core.errors import UserError
from synthograph.core.progress import Progress, Silent
from synthograph.workflows import run
from synthograph.workflows.requests import DoctorRequest, DomainGapRequest, PhantomRequest


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (("skin", "a.zip", "b.zip"), {}, r"takes 2 values by place \(kind, dest\), got 3"),
        (("skin", "a.zip"), {"kind": "eye"}, "phantom got kind twice.*: leave kind= out"),
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
    monkeypatch.setattr(convert, "usable_cores", lambda: 1)

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


def test_torch_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def careless(request: DoctorRequest, *, progress: Progress) -> int:
        torch.manual_seed(0)
        torch.set_num_threads(1)
        return torch.get_num_threads()

    monkeypatch.setattr("synthograph.workflows.doctor.run", careless)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert run(DoctorRequest(), progress=Silent()) == 1
        assert torch.get_num_threads() == 3
        assert torch.equal(torch.get_rng_state(), before)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(("omp", "used"), [("", 2), ("3", 3)])
def test_torch_uses_no_more_threads_than_there_are_cores(
    omp: str, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def threads(request: DoctorRequest, *, progress: Progress) -> int:
        return torch.get_num_threads()

    monkeypatch.setattr("synthograph.workflows.doctor.run", threads)
    monkeypatch.setattr(devices, "usable_cores", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", omp)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert run(DoctorRequest(), progress=Silent()) == used
    finally:
        torch.set_num_threads(before)


def test_a_dry_run_from_python_prints_its_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(request: DomainGapRequest, *, progress: Progress) -> None:
        progress.log("the plan")

    monkeypatch.setattr("synthograph.workflows.domain_gap.run", plan)
    synthograph.domain_gap("a.zip", "b.zip", dry_run=True)
    assert capsys.readouterr().out == "the plan\n"
    synthograph.domain_gap("a.zip", "b.zip", dry_run=False)
    synthograph.domain_gap("a.zip", "b.zip", dry_run=True, progress=Silent())
    assert capsys.readouterr().out == ""
