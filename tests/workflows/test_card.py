"""`card`: a folder to hand on that names nobody and is read as a network."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

import synthograph
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.models.snapshot import load, save_snapshot
from synthograph.results import ModelCard
from synthograph.results import load as load_results
from synthograph.results.environment import Environment
from synthograph.results.provenance import ImageRecord, Provenance
from synthograph.workflows import card, inspect
from synthograph.workflows.export_requests import CardRequest
from synthograph.workflows.requests import InspectRequest
from tests.report import material
from tests.report.test_public import run as planted_run
from tests.report.test_recoveries import found as compared
from tests.results.examples import PLACES, SECRET
from tests.sampling.test_generate import make_snapshot


def asked(network: Path, outdir: Path, **options: object) -> card.CardResult:
    request = CardRequest.parse({"network": network, "outdir": outdir, **options})
    return card.run(request, progress=Silent())


def a_run(folder: Path, place: str = "set.zip") -> Path:
    """A run directory with a network that loads, and a path in every other place."""
    path = planted_run(folder, place)
    shutil.rmtree(path / "snapshots")
    made = make_snapshot(folder / "made").path
    (path / "snapshots").mkdir()
    for file in made.parent.iterdir():
        shutil.copy(file, path / "snapshots" / file.name)
    return path


def test_a_folder_to_hand_on(tmp_path: Path) -> None:
    network = make_snapshot(tmp_path / "made").path
    numbers = material.evaluation(material.entries())
    evaluation = material.write(tmp_path / "evaluation.json", numbers)
    out = tmp_path / "hub"
    found = asked(
        network,
        out,
        results=[evaluation],
        licence="CC-BY-4.0",
        author=["A. {Author}"],
        title="Cells | of\n`blood`",
    )
    assert sorted(p.name for p in out.iterdir()) == [
        "README.md",
        "card.json",
        "config.json",
        "generator-000000.safetensors",
    ]
    shared = synthograph.load(out)
    assert not shared.info.group_digests and not shared.has_discriminators
    content = load_results(out / "card.json")
    assert isinstance(content, ModelCard) and content == found.card
    assert content.network.sha256 == shared.sha256 != content.network.of_sha256
    assert content.data.groups == 1
    text = (out / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert head["license"] == "cc-by-4.0" and head["library_name"] == "synthograph"
    metrics = head["model-index"][0]["results"][0]["metrics"]
    assert len(metrics) == sum(m.part == "all" for m in content.measures) > 2
    assert "# Cells \\| of \\`blood\\`\n" in text and "author = {A. Author}" in text
    assert "| Fréchet distance (random-vgg16) | all |" in text
    assert "**Faithful?**" in text
    assert "CC-BY-4.0" in "\n".join(found.lines())


def test_it_says_where_the_network_was_trained(tmp_path: Path) -> None:
    made = make_snapshot(tmp_path / "made")
    names = {"synthograph": "0.1.0", "python": "3.12", "torch": "2.13.0"}
    cpu, gpu = (
        Environment(**names, processor="A <b>processor", gpu=gpu, threads=2)
        for gpu in ("", "A GPU")
    )
    info = made.info.model_copy(update={"environments": [cpu, gpu]})
    path = save_snapshot(tmp_path / "moved", info, made.generator, made.training_networks)
    out = tmp_path / "hub"
    assert asked(path, out).card.training.environments == (cpu, gpu)
    text = (out / "README.md").read_text()
    assert "Trained with 2 different environments: " in text and "A GPU, A " in text
    assert "PyTorch 2.13.0" in text and "<b>" not in text
    asked(made.path, tmp_path / "unknown")
    unknown = (tmp_path / "unknown" / "README.md").read_text()
    assert "Trained with" not in unknown
    assert "\n\n\n" not in text + unknown


def test_results_of_another_network_are_left_out(tmp_path: Path) -> None:
    network = make_snapshot(tmp_path / "made").path
    numbers = material.evaluation(material.entries())
    for line in numbers["results"]:
        line |= {"snapshot": "generator-000009.safetensors", "snapshot_sha256": "0" * 64}
    evaluation = material.write(tmp_path / "evaluation.json", numbers)
    found = asked(network, tmp_path / "hub", results=[evaluation])
    assert found.card.measures == () and found.card.left_out == 1
    assert "results of another network (1)" in "\n".join(found.lines())
    assert found.card.verdicts == (), "nothing is known of this one"


@pytest.mark.parametrize("own", [True, False])
def test_archives_of_another_network_are_left_out(tmp_path: Path, *, own: bool) -> None:
    network = make_snapshot(tmp_path / "made").path
    networks = [load(network).sha256 if own else "0" * 64]
    numbers, audit = material.evaluation(material.entries()), material.audit()
    for entry in numbers["results"][0]["entries"]:
        entry["provenance"]["generated"]["networks"] = networks
    audit["provenance"]["synthetic"] = {"networks": networks}
    about = Provenance(generated=ImageRecord(networks=networks))
    projections = tmp_path / "authenticity.json"
    compared(gain=6).replace(provenance=about).save(projections)
    results = [
        projections,
        material.write(tmp_path / "evaluation.json", numbers),
        material.write(tmp_path / "audit.json", audit),
    ]
    found = asked(network, tmp_path / "hub", results=results).card
    assert bool(found.measures) is own and found.left_out == (0 if own else 3)
    said = " ".join(each for verdict in found.verdicts for each in verdict.reasons)
    assert ("memorised" in said) is own


def test_verdicts_are_of_the_snapshot_of_the_card_alone(tmp_path: Path) -> None:
    path = a_run(tmp_path / "run")
    lines = []
    for kimg, sha256, apart in ((1, load(path).sha256, ()), (2, "0" * 64, ("frechet", "kernel"))):
        (line,) = material.evaluation(material.entries(apart))["results"]
        for entry in line["entries"]:
            entry["provenance"]["generated"] = {"name": "g", "snapshot": sha256}
        line |= {"snapshot": f"g{kimg}", "snapshot_sha256": sha256, "kimg": kimg}
        lines.append(json.dumps(line) + "\n")
    (path / "evaluations.jsonl").write_text("".join(lines))
    card = asked(path, tmp_path / "hub").card
    (path / "evaluations.jsonl").write_text(lines[0])
    assert card.verdicts == asked(path, tmp_path / "alone").card.verdicts
    assert card.left_out == 0, "of what was named"
    named = material.write(tmp_path / "n.json", {"format": 1, "results": [json.loads(lines[0])]})
    again = asked(path, tmp_path / "again", results=[named]).card
    assert again.measures == card.measures, "once each"


@pytest.mark.parametrize("place", PLACES)
def test_nothing_private_leaves(place: str, tmp_path: Path) -> None:
    out = tmp_path / "hub"
    asked(a_run(tmp_path / "run", place), out)
    for name in ("README.md", "card.json", "config.json"):
        text = (out / name).read_text(encoding="utf-8")
        assert SECRET not in text, name
        assert str(tmp_path) not in text, name
    assert b'"00"' not in (out / "generator-000000.safetensors").read_bytes()


def test_what_cannot_be_a_card(tmp_path: Path) -> None:
    path = a_run(tmp_path / "run")
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "mine").write_text("x")
    with pytest.raises(UserError, match="exists already"):
        asked(path, tmp_path / "hub")
    with pytest.raises(UserError, match="a card is of one network"):
        asked(load(path).path, tmp_path / "other", results=[path])
    assert not (tmp_path / "other").exists()
    json.loads((path / "config.json").read_text())


def test_the_folder_is_looked_at_as_a_network(tmp_path: Path) -> None:
    asked(make_snapshot(tmp_path / "made").path, tmp_path / "hub")
    looked = inspect.run(InspectRequest(path=tmp_path / "hub"), progress=Silent())
    assert "kind: snapshot" in "\n".join(looked.lines())
