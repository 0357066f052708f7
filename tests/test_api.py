"""The public names of the package: a name that vanishes, or that nobody explains, fails here."""

import inspect
import subprocess
import sys
import types

import pytest

import synthograph

JOBS = [
    *("annotate_agreement", "annotate_from_real", "annotate_generate", "annotate_import"),
    *("annotate_review", "annotate_sample", "annotate_train"),
    *("audit", "authenticity", "classify_evaluate", "classify_predict", "classify_train"),
    *("card", "cohorts", "convert", "demo"),
    *("directions", "doctor", "domain_gap", "embeddings", "evaluate", "export", "film"),
    *("generate", "get_weights", "import_weights", "inspect", "interpolate"),
    *("mix", "mix_styles", "neighbours", "phantom", "prepare", "project"),
    *("report", "segment_evaluate", "segment_predict", "segment_train", "split"),
    *("search", "study", "train", "truncation", "weights"),
]
NAMES = ["AugmentPipe", "ImageSpec", "Snapshot", "UserError", "load", *JOBS]


def test_inventory() -> None:
    assert sorted(synthograph.__all__) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there_and_explained(name: str) -> None:
    assert len(inspect.getdoc(getattr(synthograph, name)) or "") > 20


@pytest.mark.parametrize("name", JOBS)
def test_every_keyword_of_a_job_is_explained(name: str) -> None:
    job = getattr(synthograph, name)
    job = job.job() if isinstance(job, types.ModuleType) else job  # a room of the same name
    for keyword in inspect.signature(job).parameters:
        line = next(t for t in job.__doc__.splitlines() if t.startswith(f"    {keyword}: "))
        assert len(line) > len(keyword) + 10 and "None" not in line


def test_importing_the_package_and_asking_for_help_imports_no_torch() -> None:
    code = (
        f"import sys, synthograph, inspect\n"
        f"for name in {JOBS}: inspect.signature(getattr(synthograph, name))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_are_listed_once() -> None:
    assert synthograph.study, "a name that was used is among the globals, too"
    assert len(dir(synthograph)) == len(set(dir(synthograph)))
