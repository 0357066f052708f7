"""New networks from a snapshot: both generators, the table, refusals, and the record."""

import copy
from pathlib import Path

import pytest
import torch

import synthograph
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.tensors import read_tensors, write_tensors
from synthograph.models.base import Condition, Family, ModelBundle
from synthograph.models.registry import family, parse_model
from synthograph.models.snapshot import Snapshot, SnapshotInfo, load, partner, save_snapshot
from synthograph.models.transfer import TransferStatus, defaults, origin, transfer
from tests.conftest import NVIDIA

MODEL = {
    "family": "stylegan2",
    "channel_base": 64,
    "channel_max": 8,
    "z_dim": 8,
    "w_dim": 8,
    "mapping_layers": 3,
}
SPEC = ImageSpec(height=16, width=16, modalities={"image": 3})
KIND = family("stylegan2")


def make(spec: ImageSpec = SPEC, seed: int = 1, **settings: object) -> ModelBundle:
    config = parse_model({**MODEL, **settings})
    torch.manual_seed(seed)
    return ModelBundle(spec, Condition(), config, KIND.build(spec, Condition(), config))


def average_of(built: ModelBundle) -> torch.nn.Module:
    return copy.deepcopy(built.networks.generator)


@pytest.fixture
def source(tmp_path: Path) -> Snapshot:
    """A snapshot whose average differs from its raw generator."""
    built, ema = make(seed=7), make(seed=8).networks.generator
    info = SnapshotInfo(
        family="stylegan2",
        config={"model": built.config.tree()},
        spec=SPEC,
        images_seen=2000,
        group_digests=["0123456789abcdef"],
        initialised_from={"family": "stylegan2", "sha256": "0" * 64},
    )
    return load(save_snapshot(tmp_path, info, ema, built.networks))


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_raw_from_raw_and_average_from_average(source: Snapshot) -> None:
    target = make()
    ema = average_of(target)
    report = transfer(source, target, ema)
    assert same(target.networks.generator, make(seed=7).networks.generator)
    assert same(target.networks.discriminators, source.discriminators)
    assert same(ema, source.generator)
    assert not same(ema, target.networks.generator)
    assert report.count(TransferStatus.LOADED) == len(report.rows)
    assert not report.unused and not report.notes
    share = "0 adapted, 0 fresh; 100.0% of its numbers come from the source"
    counts = [len(m.state_dict()) for m in (ema, target.networks.discriminators)]
    assert report.lines() == [
        f"initialised from {source.path.name}",
        f"  generator: {counts[0]} loaded, {share}",
        f"  discriminators/image: {counts[1]} loaded, {share}",
    ]
    assert len(report.lines(full=True)) == 3 + len(report.rows)


def test_without_the_file_of_the_discriminators(source: Snapshot, tmp_path: Path) -> None:
    partner(source.path).unlink()
    renamed = tmp_path / "shared.safetensors"
    renamed.write_bytes(source.path.read_bytes())
    for path in (source.path, renamed):
        target = make()
        before, ema = copy.deepcopy(target.networks.discriminators), average_of(target)
        report = transfer(load(path), target, ema)
        assert same(target.networks.generator, source.generator)
        assert same(ema, source.generator)
        assert same(target.networks.discriminators, before)
        assert "came without its discriminators" in report.notes[0]
        assert report.lines()[-1] == f"note: {report.notes[0]}"
        assert "0.0% of its numbers" in report.lines()[2]


def test_discriminators_of_another_generator(source: Snapshot) -> None:
    """They are refused and not left out in silence."""
    tensors, document = read_tensors(partner(source.path))
    write_tensors(partner(source.path), tensors, {**document, "generator_sha256": "0" * 64})
    target = make()
    with pytest.raises(UserError, match="belongs to another generator"):
        transfer(load(source.path), target, average_of(target))


def test_the_table_names_what_changed(source: Snapshot) -> None:
    grey = ImageSpec(height=32, width=32, modalities={"image": 1})
    target = make(grey, mapping_layers=2)
    report = transfer(source, target, average_of(target))
    rows = {row.name: row for row in report.rows}
    head = rows["generator/synthesis.blocks.1.heads.image.weight"]
    assert (head.status, head.before, head.after) == (
        TransferStatus.ADAPTED,
        (3, 8, 1, 1),
        (1, 8, 1, 1),
    )
    moved = rows["discriminators/image.blocks.1.conv0.weight"]
    assert moved.status is TransferStatus.LOADED
    assert moved.source == "discriminators/image.blocks.0.conv0.weight"
    new = rows["generator/synthesis.blocks.3.conv0.weight"]
    assert (new.status, new.source, new.before) == (TransferStatus.FRESH, None, None)
    unused = ("generator/mapping.layers.2", "discriminators/image.blocks.0.from_image")
    assert report.unused == [f"{name}.{p}" for name in unused for p in ("weight", "bias")]
    text = "\n".join(report.lines())
    assert "not used: 4 tensors of the source\n    generator/mapping.layers.2 (2)" in text
    assert "3x8x1x1 -> 1x8x1x1  mean over channels" in text
    assert "fresh    generator/synthesis.blocks.3.conv0 (4)" in text
    assert "- -> scalar" in "\n".join(report.lines(full=True))
    assert "model.mapping_layers is 2, the source's is 3" in report.notes[0]


def test_fresh_tensors_are_the_same_in_the_average(source: Snapshot) -> None:
    target = make(ImageSpec(height=32, width=32, modalities={"image": 3}))
    ema = average_of(target)
    transfer(source, target, ema)
    name = "synthesis.blocks.3.conv1.weight"
    assert torch.equal(ema.state_dict()[name], target.networks.generator.state_dict()[name])


def test_nothing_is_drawn_from_the_global_generator(source: Snapshot) -> None:
    target = make()
    before = torch.get_rng_state()
    transfer(source, target, average_of(target))
    assert torch.equal(before, torch.get_rng_state())


def test_what_is_refused(source: Snapshot) -> None:
    other = source.info.model_copy(update={"family": "another"})
    stranger = Snapshot(source.path, other, source.generator)
    target = make()
    with pytest.raises(UserError, match="of the family another, which a model of the family"):
        transfer(stranger, target, average_of(target))


def test_a_family_without_rules_takes_names_and_shapes(source: Snapshot) -> None:
    """The default of `Family.map_weights`, and where it finds nothing."""
    donor = make(seed=3)
    target = make(ImageSpec(height=16, width=16, modalities={"image": 1}))
    starts = Family.map_weights(KIND, target, donor)
    assert all(not start.how for start in starts.values())
    missing = set(target.networks.tensors()) - set(starts)
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in missing} == {
        "image",
        "from_image",
    }
    assert Family.inherited_settings(KIND, donor.config) == {"family": "stylegan2", "z_dim": 8}


def test_nothing_that_fits_is_refused(source: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(KIND), "map_weights", lambda *_: {})
    target = make()
    with pytest.raises(UserError, match="no tensor of it fits"):
        transfer(source, target, average_of(target))


def test_settings_of_a_run_that_starts_from_it(source: Snapshot) -> None:
    tree = defaults(source)
    assert tree["augment"] == {"speed_kimg": 100}
    assert tree["training"] == {"ema_ramp": None}
    assert tree["model"]["mapping_layers"] == 3
    assert tree["model"]["channel_base"] == 64


def test_the_document_of_the_source_is_kept(source: Snapshot) -> None:
    document = origin(source)
    assert document["sha256"] == source.sha256
    assert document["group_digests"] == ["0123456789abcdef"]
    assert document["initialised_from"]["sha256"] == "0" * 64
    assert document["images_seen"] == 2000


def test_a_published_snapshot_as_source() -> None:
    published = synthograph.load(NVIDIA / "cond2_rgb_32.pkl")
    settings = defaults(published)["model"]
    config = parse_model(settings)
    spec, condition = published.info.spec, Condition(("benign", "melanoma"), 2)
    torch.manual_seed(0)
    target = ModelBundle(spec, condition, config, KIND.build(spec, condition, config))
    ema = average_of(target)
    report = transfer(published, target, ema)
    assert report.count(TransferStatus.LOADED) == len(report.rows)
    assert same(ema, published.generator)
    assert same(target.networks.discriminators, published.discriminators)
