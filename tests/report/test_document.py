"""What is read of other rooms' files is what those rooms write."""

import json
from pathlib import Path
from typing import Any

import pytest

from synthograph.report.document import build
from synthograph.report.gather import Inputs, Read
from synthograph.results import Audit, DomainGap, Evaluation, Sensitivity
from synthograph.results.base import Document
from tests.report import material


@pytest.fixture(scope="module")
def real_audit(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of a true audit of noise."""
    from synthograph.metrics.audit import audit as audits
    from synthograph.metrics.audit import memorisation
    from tests.metrics.images import Means, noise

    asked = audits.AuditSets(
        noise("train", 40, seed=1),
        noise("held", 26, seed=2),
        noise("fake", 40, seed=3),
        notes=("of note",),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memorisation, "EXCHANGES", 39)  # nothing here depends on their number
        found = audits.audit(asked, [Means()], folder=tmp_path_factory.mktemp("features"))
    return json.loads(json.dumps(found.result.tree()))


FACTS = ("synthetic images that equal a training image in every pixel", "images to withhold")
PER_RATE = (
    "synthetic images flagged as copies",
    "flagged by chance",
    "real held-out images that look like training images",
    "chance of as many without copies (p)",
    "upper 95 % limit of the share of copies",
)


def page_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    audit = Audit.parse(content, "audit.json")
    return build(Inputs(results=[Read(Path("audit.json"), audit)])).tree()["audits"]


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


@pytest.mark.parametrize(
    ("schema", "content"),
    [
        (Audit, material.audit()),
        (DomainGap, material.gap()),
        (Sensitivity, material.sensitivity()),
        (Evaluation, material.evaluation(material.entries(), shares=[material.share("a", 1, 2)])),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_tests_speak_of_files_as_they_are(
    schema: type[Document], content: dict[str, Any]
) -> None:
    written = schema.parse(content, "x.json").tree()
    assert unknown(content, written) == []
    assert unknown({"later": 2}, written) == [".later"]


@pytest.mark.slow
def test_every_first_number_of_a_real_audit_stands_on_the_page(real_audit: dict[str, Any]) -> None:
    (found,) = page_of(real_audit)
    said = [words for words, _ in found["facts"]]
    rates = [f" at {rate}\N{NO-BREAK SPACE}% false alarms" for rate in ("0.1", "1.0")]
    per_rate = [f"{words}{rate}" for rate in rates for words in PER_RATE]
    assert said == [*FACTS, *per_rate]
    assert "of note" in found["limits"]
    assert [each["auc"] for each in found["attacks"]] == [
        each["auc"] for each in real_audit["membership"]["attacks"]
    ]
    assert all(each["interval"] and each["null_high"] for each in found["attacks"])
    first = found["recall_tables"][0]
    assert first["classes"] == ["", "a", "b"]


def test_numbers_of_a_control_stand_on_the_page() -> None:
    content = material.audit()
    content["copies"]["control"] = {
        "flagged": 44,
        "held": 31,
        "p": 1e-9,
        "passed_over": 1,
        "closer": 12,
        "groups": 7,
        "groups_p": 0.06,
        "explains": True,
    }
    facts = dict(page_of(content)[0]["facts"])
    assert list(facts.values())[-5:] == ["44", "1", "12", "7", "0.0600"]
    assert list(facts)[-4] == "most alike groups of held-out images, left out of the next row"


def test_images_without_a_class_are_not_all_images() -> None:
    content = material.audit()
    planted = content["copies"]["recall"][0]
    content["copies"]["recall"].append({**planted, "label": "", "class": "", "found": 10})
    (table,) = page_of(content)[0]["recall_tables"]
    shown = {name: cell["recall"] for name, cell in table["rows"]["identity"].items()}
    assert shown == {"": 0.99, "a": 0.99, "(none)": 0.1}


def test_floors_of_kernel_distances_are_read() -> None:
    gap = DomainGap.parse(material.gap(), "g.json")
    page = build(Inputs(results=[Read(Path("g.json"), gap)])).tree()
    (pair,) = page["domain_gaps"][0]["pairs"]
    assert pair["floor"]["one"]["low"] == 0.0111
    assert pair["floor"]["other"] is None
