"""Sessions that start from a snapshot: weights, settings, provenance, and that resuming needs it no
more.
"""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError
from synthograph.models.base import Condition
from synthograph.models.snapshot import Snapshot, load, partner, save_snapshot
from synthograph.models.transfer import TransferReport, TransferStatus, defaults
from synthograph.ops.pixels import to_pixels
from synthograph.training import setup
from synthograph.training.config import RunConfig
from synthograph.training.grids import ImageGrid
from synthograph.training.session import Session
from synthograph.training.setup import make_session, open_data, resolve_run
from tests.conftest import make_archive

SHAPES = {"channel_base": 32, "channel_max": 4, "z_dim": 4, "w_dim": 4, "mapping_layers": 3}
SHORT = {
    "training": {"kimg": 0.04, "batch": 4, "batch_gpu": 4},
    "augment": {"mode": "ada", "p": 0.2},
    "device": "cpu",
}


def configure(archive: Path, *parts: dict) -> RunConfig:
    config, _ = resolve_run(open_archive(archive), "tiny", [*parts, SHORT])
    return config


@pytest.fixture
def source(tmp_path: Path) -> Snapshot:
    """A snapshot of a short unconditional run on colour images."""
    config = configure(make_archive(tmp_path / "colour.zip", seed=5), {"model": SHAPES})
    session = make_session(config, open_data(config))
    session.step()
    state = session.state
    return load(save_snapshot(tmp_path, session.info, state.ema, state.networks))


def begin(source: Snapshot, archive: Path, *parts: dict) -> tuple[Session, TransferReport]:
    config = configure(archive, defaults(source), *parts)
    reports: list[TransferReport] = []
    session = make_session(config, open_data(config), source, reports.append)
    return session, reports[0]


def test_a_run_from_a_snapshot(source: Snapshot, tmp_path: Path) -> None:
    grey = make_archive(tmp_path / "grey.zip", modalities={"image": 1})
    session, report = begin(source, grey, {"data": {"cond": True}})
    model, training = session.config.model, session.config.training
    assert (model.mapping_layers, model.channel_base, model.z_dim) == (3, 32, 4)
    assert (session.config.augment.speed_kimg, training.ema_ramp) == (100, None)
    assert not report.notes
    assert report.count(TransferStatus.ADAPTED) > 0
    z, label = torch.randn(2, 4), torch.eye(2)
    ema = copy.deepcopy(session.state.ema)
    with torch.no_grad():
        ema.mapping.layers[0].weight[:, 4:] = 0  # what reads the new label
        ours = ema(z, label, noise_mode="const")
        theirs = source.generator(z, noise_mode="const").mean(1, keepdim=True)
    torch.testing.assert_close(ours, theirs)
    ema, raw = session.state.ema.state_dict(), session.state.networks.generator.state_dict()
    assert not torch.equal(ema["synthesis.blocks.0.const"], raw["synthesis.blocks.0.const"])
    for _ in range(4):
        session.step()


def test_what_the_user_sets_wins_over_what_follows_the_source(
    source: Snapshot, archive: Path
) -> None:
    asked = {"model": {"mapping_layers": 2}, "augment": {"speed_kimg": 7}}
    session, report = begin(source, archive, asked)
    assert session.config.model.mapping_layers == 2
    assert session.config.augment.speed_kimg == 7
    assert "mapping_layers is 2, the source's is 3" in report.notes[0]


def test_snapshots_say_what_they_were_initialised_from(source: Snapshot, archive: Path) -> None:
    session, _ = begin(source, archive)
    document = session.info.initialised_from
    assert document is not None
    assert document["sha256"] == source.sha256
    assert document["group_digests"] == source.info.group_digests != []
    assert document["image_digests"] == source.info.image_digests != []
    again = load(
        save_snapshot(
            archive.parent / "next", session.info, session.state.ema, session.state.networks
        )
    )
    assert again.info.initialised_from == document
    second, _ = begin(again, archive)
    assert second.info.initialised_from["initialised_from"] == document
    config = session.config
    assert make_session(config, open_data(config)).info.initialised_from is None


def test_resuming_needs_no_source(source: Snapshot, archive: Path, tmp_path: Path) -> None:
    session, _ = begin(source, archive)
    session.step()
    saved = {name: tensor.clone() for name, tensor in session.state.tensors().items()}
    source.path.unlink()
    partner(source.path).unlink()
    again = make_session(session.config, open_data(session.config))
    again.state.load(saved, tmp_path)
    again.state.progress = session.state.progress
    for name, tensor in session.state.tensors().items():
        if not name.startswith("moments/"):
            assert torch.equal(tensor, again.state.tensors()[name]), name


def test_without_a_source_the_average_is_the_raw_generator(archive: Path) -> None:
    config = configure(archive)
    state = make_session(config, open_data(config)).state
    raw = state.networks.generator.state_dict()
    assert all(torch.equal(t, raw[name]) for name, t in state.ema.state_dict().items())
    assert not any(p.requires_grad for p in state.ema.parameters())
    assert not state.ema.training and state.networks.generator.training


def test_frozen_layers_are_those_of_the_source(source: Snapshot, tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "set.zip")
    session, _ = begin(source, archive, {"training": {"freezed": 2}})
    first = session.state.networks.discriminators["image"].blocks[0].from_image
    before = source.discriminators["image"].blocks[0].from_image.weight
    assert torch.equal(first.weight, before)
    session.step()
    assert torch.equal(first.weight, before)


def test_another_family_is_refused(source: Snapshot, archive: Path) -> None:
    config = configure(archive, defaults(source))
    info = source.info.model_copy(update={"family": "another"})
    with pytest.raises(UserError, match="of the family another"):
        make_session(config, open_data(config), Snapshot(source.path, info, source.generator))


def with_vectors(path: Path, values: tuple[float, ...]) -> Path:
    """Rewrite the manifest of an archive, a folder: the vector beside every label."""
    lines = (path / "manifest.csv").read_text().splitlines()
    names = "".join(f",y.{place}" for place in range(len(values)))
    numbers = "".join(f",{value}" for value in values)
    rows = [lines[0] + names, *(line + numbers for line in lines[1:])]
    (path / "manifest.csv").write_text("\n".join(rows) + "\n")
    return path


def test_label_vectors_beside_classes_are_not_taken_for_them(tmp_path: Path) -> None:
    archive = with_vectors(make_archive(tmp_path / "set"), (0.5, 0.25))  # as wide as the classes
    config = configure(archive, {"model": SHAPES, "data": {"cond": True}})
    session = make_session(config, open_data(config))
    assert session.info.condition == Condition((), 2)
    assert session.stream.labels(torch.arange(3)).tolist() == [[0.5, 0.25]] * 3
    grid = ImageGrid(session.spec, session.stream, session.info.classes)
    assert grid.titles == [""] * 2
    assert grid.synthetic(session).shape == grid.reals.shape == (24, 3, 16, 16)
    plain = make_archive(tmp_path / "plain")
    config = configure(plain, {"model": SHAPES, "data": {"cond": True}})
    assert make_session(config, open_data(config)).info.classes == ["dark", "bright"]


@pytest.mark.parametrize("name", ["double", "training", "values"])
def test_modalities_with_names_of_torch_are_refused_before_training(
    tmp_path: Path, name: str
) -> None:
    archive = make_archive(tmp_path / "set", modalities={"image": 1, name: 1})
    with pytest.raises(UserError, match=f"modality '{name}': .*such as {name}_image, and prepare"):
        configure(archive, {"model": SHAPES})


def test_pictures_are_drawn_in_shares_that_fit(archive: Path) -> None:
    config = configure(archive, {"model": SHAPES})
    session = make_session(config, open_data(config))
    grid = ImageGrid(session.spec, session.stream, ())
    sizes: list[int] = []
    session.state.ema.synthesis.register_forward_pre_hook(lambda m, a: sizes.append(len(a[0])))
    whole = grid.synthetic(session)
    assert max(sizes) == config.training.batch_gpu == 4
    session.microbatch = 2
    sizes.clear()
    smaller = grid.synthetic(session)
    assert (max(sizes), sum(sizes)) == (2, len(whole))
    assert np.abs(smaller.astype(int) - whole).max() <= 1
    every = session.stream.gather(torch.arange(len(whole)) % len(session.stream))[0]
    assert (grid.reals == to_pixels(every, 8)).all()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"mbstd_channels": 3}, "model.mbstd_channels': must divide the 4 channels .* as 2 does, "),
        ({"modality_weights": {"imag": 2}}, "model.modality_weights.imag': did you mean 'image'"),
        ({"modality_r1": {"imag": 2}}, "model.modality_r1.imag': did you mean 'image'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_first(
    archive: Path, monkeypatch: pytest.MonkeyPatch, model: dict, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        configure(archive, {"model": {**SHAPES, **model}})
    config = configure(archive, {"model": SHAPES})
    spoiled = config.model_copy(update={"model": config.model.model_copy(update=model)})
    monkeypatch.setattr(setup, "TrainingStream", None)  # which reads all images
    with pytest.raises(UserError, match=message):
        make_session(spoiled, open_data(spoiled))


def test_levels_without_channels_are_refused(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "set.zip", size=(32, 16))
    for name in ("channel_base", "discriminator_channel_base"):
        with pytest.raises(UserError, match=f"model.{name}': must be at least 32"):
            configure(archive, {"model": {**SHAPES, name: 31}})
    configure(archive, {"model": {**SHAPES, "discriminator_channel_base": 33}})


def test_the_spread_loss_needs_features_and_whole_pairs(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "set.zip", size=(4, 4))
    with pytest.raises(UserError, match=r"model.spread_weight': must be 0 for images this small"):
        configure(archive, {"model": {**SHAPES, "spread_weight": 5}})
    (tmp_path / "larger").mkdir()
    archive = open_archive(make_archive(tmp_path / "larger" / "set.zip", size=(8, 8)))
    with pytest.raises(UserError, match="batch_gpu 1 must be a multiple of 2"):
        resolve_run(
            archive, "tiny", [{"model": {"spread_weight": 5}, "training": {"batch_gpu": 1}}]
        )


FLIPS = {"augment": {"mode": "ada"}}
MIRROR = {"data": {"mirror": True}}


def resolved(archive: Path, *parts: dict) -> tuple[RunConfig, list[str]]:
    return resolve_run(open_archive(archive), "tiny", [*parts, {"device": "cpu"}])


def says(*names: str) -> dict:
    return {"data": {"invariances": list(names)}}


def test_nothing_is_mirrored_where_nobody_said_that_it_may_be(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "open.zip", invariances=None)
    config, notes = resolved(archive, FLIPS)
    assert list(config.augment.pipe) == ["xint", "scale", "xfrac", "brightness"]
    assert "uses xint, scale, xfrac, brightness only" in notes[0]
    with pytest.raises(UserError, match="was not stated; say so with --invariant mirror"):
        resolved(archive, MIRROR)
    config, notes = resolved(archive, FLIPS, says("mirror"), MIRROR)
    assert "xflip" in config.augment.pipe and "hue" not in config.augment.pipe
    assert "without rotate90, rotate" in notes[0]
    config = config.model_copy(update={"training": configure(archive).training})
    assert make_session(config, open_data(config)).info.invariances == ["mirror"]
    plain = configure(archive)
    assert make_session(plain, open_data(plain)).info.invariances is None


def test_adaptive_augmentation_does_not_start_above_its_limit(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "set.zip")
    high = {"augment": {"mode": "ada", "p": 0.9}}
    with pytest.raises(UserError, match=r"at most augment.p_max, which is 0.85: .*p_max=0.9, got"):
        resolved(archive, high)
    assert resolved(archive, high, {"augment": {"p_max": 0.9}})[0].augment.p == 0.9
    assert resolved(archive, {"augment": {"mode": "fixed", "p": 0.9}})[0].augment.p == 0.9


def test_a_run_may_be_told_less_than_the_archive_says_but_no_more(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "turns.zip", invariances=("rotate", "mirror"))
    config, notes = resolved(archive, FLIPS, says())
    assert "aniso" in config.augment.pipe and "xflip" not in config.augment.pipe
    assert "brightness" not in config.augment.pipe and "(invariances: none)" in notes[0]
    with pytest.raises(UserError, match="mirroring changes the meaning .*invariances: rotate"):
        resolved(archive, says("rotate"), MIRROR)
    with pytest.raises(UserError, match="says that colour would change what its images mean"):
        resolved(archive, says("mirror", "colour"))


def test_archives_of_older_versions_may_say_what_nobody_said(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "old.zip")
    assert "as older versions wrote unasked" in resolved(archive, FLIPS)[1][0]
    assert "older versions" not in resolved(archive, FLIPS, says("mirror"))[1][0]
    assert resolved(archive, {"augment": {"mode": "none"}})[1] == []
    narrower = make_archive(tmp_path / "stated.zip", invariances=("mirror",))
    assert "older versions" not in resolved(narrower, FLIPS)[1][0]
