"""`export`: nothing is named that was not compared, and the example draws what `generate` draws."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.sampling import onnx_graph
from synthograph.sampling.generate import ImageRequest, generate_files
from synthograph.workflows import export
from synthograph.workflows.export_requests import ExportRequest
from tests.sampling.test_generate import make_snapshot

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
EXAMPLE = Path(__file__).parents[2] / "examples" / "generate_onnx.py"


def asked(network: Path, out: Path, **options: object) -> export.ExportResult:
    request = ExportRequest.parse({"network": network, "onnx": out, **options})
    return export.run(request, progress=Silent())


def test_the_example_draws_the_images_of_generate(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "network", bits=16, classes=("a b", "c/d"))
    result = asked(snapshot.path, tmp_path / "x.onnx")
    text = "\n".join(result.lines())
    assert "opset 18" in text and "0 a b, 1 c/d" in text and "licence: not stated" in text
    # torch is not to be found
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')\n")
    words = [EXAMPLE, tmp_path / "x.onnx", "--outdir", tmp_path / "theirs", "--seeds", "0-2,7"]
    subprocess.run(
        [sys.executable, *map(str, words), "--class", "c/d", "--trunc", "0.7"],
        check=True,
        capture_output=True,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
    )
    jobs = [(seed, "c/d") for seed in (0, 1, 2, 7)]
    ours = generate_files(snapshot, ImageRequest(jobs=jobs, truncation=0.7), tmp_path / "ours")
    for path in ours:
        one, other = (np.asarray(Image.open(p)) for p in (path, tmp_path / "theirs" / path.name))
        assert one.dtype == other.dtype == np.uint16
        assert np.abs(one.astype(int) - other).max() <= 4


def test_other_images_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = make_snapshot(tmp_path / "network")
    monkeypatch.setattr(onnx_graph, "write_graph", lambda graph, path: path.write_bytes(b"x"))
    monkeypatch.setattr(onnx_graph, "differences", lambda *given: (0.5, 0.1))
    with pytest.raises(UserError, match="64 grey levels.*leave --fp16 out"):
        asked(snapshot.path, tmp_path / "x.onnx", fp16=True)
    assert not (tmp_path / "x.onnx").exists()
    monkeypatch.setattr(onnx_graph, "differences", lambda *given: (float("nan"), 0.0))
    with pytest.raises(UserError, match="differ"):
        asked(snapshot.path, tmp_path / "x.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["network"]


def test_what_cannot_be_written_is_refused_before_work(tmp_path: Path) -> None:
    missing = tmp_path / "no such.safetensors"
    with pytest.raises(UserError, match="ends in .onnx"):
        asked(missing, tmp_path / "x.pt")
    (tmp_path / "x.onnx").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        asked(missing, tmp_path / "x.onnx")
