"""What is read of other rooms' files is what those rooms write."""

import json
from typing import Any

import pytest

from synthograph.report.document import FACTS, PER_RATE, build
from synthograph.report.fields import Fields
from synthograph.report.findings import read_audit, read_gap
from synthograph.report.gather import Material
from tests.report import material


@pytest.fixture(scope="module")
def real_audit(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of a true audit of noise."""
    from synthograph.metrics.audit import audit as audits
    from synthograph.metrics.audit import memorisation
    from tests.metrics.images import Means, noise

    asked = audits.Request(
        noise("train", 40, seed=1),
        noise("held", 26, seed=2),
        noise("fake", 40, seed=3),
        notes=("of note",),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memorisation, "EXCHANGES", 39)  # nothing here depends on their number
        found = audits.audit(asked, [Means()], folder=tmp_path_factory.mktemp("features"))
    return json.loads(json.dumps(found.json(command="synthograph audit")))


def unknown(made_up: Any, real: Any, where: str = "") -> list[str]:
    """Entries of made-up data that real data lacks."""
    if isinstance(made_up, dict) and isinstance(real, dict):
        return [
            each
            for name, inner in made_up.items()
            for each in (
                unknown(inner, real[name], f"{where}.{name}")
                if name in real
                else [f"{where}.{name}"]
            )
        ]
    if isinstance(made_up, list) and isinstance(real, list) and made_up and real:
        return unknown(made_up[0], real[0], f"{where}[0]")
    return []


@pytest.mark.slow
def test_the_tests_speak_of_audits_as_they_are(real_audit: dict[str, Any]) -> None:
    content = material.audit()
    del content["pictures"]  # named by the command, not by the audit
    assert unknown(content, real_audit) == []
    assert unknown({"copies": {"flagged": 2}}, real_audit) == [".copies.flagged"]


@pytest.mark.slow
def test_every_first_number_of_a_real_audit_stands_on_the_page(real_audit: dict[str, Any]) -> None:
    audit = read_audit(Fields(real_audit, "audit.json"), "audit.json")
    (found,) = build(Material(audits=[audit]))["audits"]
    said = [words for words, _ in found["facts"]]
    rates = [f" at {rate}\N{NO-BREAK SPACE}% false alarms" for rate in ("0.1", "1.0")]
    per_rate = [f"{words}{rate}" for rate in rates for words in PER_RATE.values()]
    assert said == [*FACTS.values(), *per_rate]
    assert "of note" in found["limits"]
    assert [each["auc"] for each in found["attacks"]] == [
        each["auc"] for each in real_audit["membership"]["attacks"]
    ]
    assert all(each["interval"] and each["null_high"] for each in found["attacks"])
    first = found["recall_tables"][0]
    assert first["classes"] == ["", "a", "b"]


def test_images_without_a_class_are_not_all_images() -> None:
    content = material.audit()
    planted = content["copies"]["recall"][0]
    content["copies"]["recall"].append({**planted, "label": "", "class": "", "recall": 0.1})
    audit = read_audit(Fields(content, "a"), "a")
    (table,) = build(Material(audits=[audit]))["audits"][0]["recall_tables"]
    shown = {name: cell["recall"] for name, cell in table["rows"]["identity"].items()}
    assert shown == {"": 0.99, "a": 0.99, "(none)": 0.1}


def test_floors_of_kernel_distances_are_read() -> None:
    (pair,) = read_gap(Fields(material.gap(), "g"), "g").pairs
    assert pair["floor"] == {"one": {"value": 0.0123, "low": 0.0111, "high": 0.0135}, "other": None}
