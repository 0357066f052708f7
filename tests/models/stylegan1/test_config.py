"""Stages: sizes, batches, rates and fades by the images seen alone."""

import pytest

from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.models.stylegan1.config import StyleGAN1Config, value_at
from synthograph.models.stylegan1.family import StyleGAN1
from synthograph.models.stylegan1.presets import preset
from synthograph.training.config import RunConfig
from synthograph.training.presets import resolve

KNEE = ImageSpec(height=256, width=256, modalities={"image": 1})
FAMILY = StyleGAN1()


def run(spec: ImageSpec, cfg: str, **model: object) -> RunConfig:
    return resolve(spec, cfg, [{"data": {"path": "x.zip"}, "model": model}])


def test_the_preset_grows_as_the_knee_project_did() -> None:
    made = run(KNEE, "progressive")
    assert made.model.family == "stylegan1" and not made.model.style_mixing
    starts = FAMILY.stage_starts(made.model, KNEE)
    assert starts == [0, 80_000, 160_000, 240_000, 320_000, 400_000]
    stages = [FAMILY.schedule(made.model, KNEE, start) for start in starts]
    assert [stage.resolution for stage in stages] == [8, 16, 32, 64, 128, 256]
    assert [s.batch_scale * made.training.batch for s in stages] == [256, 128, 64, 32, 32, 32]
    rates = [s.rate_scale["G"] * made.model.optimisers["G"].lr for s in stages]
    assert rates == pytest.approx([0.001, 0.001, 0.001, 0.001, 0.0015, 0.002])
    assert [stage.optimiser_run for stage in stages] == [0, 1, 2, 3, 4, 5]
    assert made.training.kimg == pytest.approx(400 + 52_800 * 32 / 1000, rel=1e-3)


def test_the_share_of_a_new_level_follows_from_the_images_seen() -> None:
    """Not stuck, as by a division of whole numbers; 1 in the first stage and after the last."""
    model = run(KNEE, "progressive").model
    fades = [FAMILY.schedule(model, KNEE, n).fade for n in range(0, 600_000, 500)]
    assert set(fades[:160]) == {1.0}, "nothing is faded in over an untrained network"
    rising = fades[160:240]
    assert rising[0] == pytest.approx(1 / 40_000) and rising[40] == pytest.approx(20_001 / 40_000)
    assert len(set(rising)) == 80 and rising == sorted(rising) and max(rising) < 1
    assert set(fades[240:320]) == {1.0}
    assert set(fades[880:]) == {1.0}


def test_growth_may_begin_and_end_elsewhere() -> None:
    spec = ImageSpec(height=48, width=96, modalities={"image": 1})
    assert spec.grid.sides == [12, 24, 48, 96]
    model = run(spec, "progressive").model
    assert model.start_dimension == 12
    model = run(spec, "progressive", start_dimension=24, final_dimension=48).model
    found = [FAMILY.schedule(model, spec, n).resolution for n in (0, 80_000, 10**9)]
    assert found == [24, 48, 48]
    everywhere = StyleGAN1Config()
    assert FAMILY.schedule(everywhere, spec, 0).resolution == 12


@pytest.mark.parametrize("side", [32, 64, 256, 1024])
@pytest.mark.parametrize("cfg", ["tiny-progressive", "tiny"])
def test_presets_for_a_processor_fit_images_of_any_size(side: int, cfg: str) -> None:
    spec = ImageSpec(height=side, width=side // 2, modalities={"image": 1})
    made = resolve(spec, cfg, [{"data": {"path": "x.zip"}}])
    assert made.training.kimg >= 40 and (made.training.kimg == 40 or side > 64)
    if cfg != "tiny":
        assert made.training.kimg * 1000 >= FAMILY.stage_starts(made.model, spec)[-1] + 16_000


def test_a_part_of_a_table_may_be_set() -> None:
    """And leaves the rest as it is, whether the preset or the family says it; one with the smallest
    side is whole.
    """
    knee = run(KNEE, "progressive", batch_scale={"8": 4}, rate_scale={"256": 1.5}).model
    starts = FAMILY.stage_starts(knee, KNEE)
    stages = [FAMILY.schedule(knee, KNEE, start) for start in starts]
    assert [stage.batch_scale for stage in stages] == [4, 4, 2, 1, 1, 1]
    assert [stage.rate_scale["D"] for stage in stages] == [1, 1, 1, 1, 1.5, 1.5]
    assert run(KNEE, "progressive", batch_scale={"4": 1, "64": 3}).model.batch_scale == {
        4: 1,
        64: 3,
    }
    tiny = run(KNEE, "tiny-progressive", batch_scale={"64": 2}).model
    assert [value_at(side, tiny.batch_scale) for side in (8, 32, 64, 256)] == [1, 1, 2, 2]


def test_a_recorded_configuration_says_again_what_it_said() -> None:
    """As a file of `--config`, whatever preset it is laid upon."""
    for cfg in ("tiny-progressive", "progressive"):
        once = run(KNEE, cfg).model
        for other in ("auto", "tiny", cfg):
            assert run(KNEE, other, **once.model_dump(mode="json")).model == once


def test_settings_from_yaml_and_from_flags_meet() -> None:
    """YAML reads 8 as a number, a flag as text: the flag wins."""
    read, flag = ({"model": {"batch_scale": table}} for table in ({4: 2, 8: 3}, {"8": 5}))
    parts = [{"data": {"path": "x.zip"}}, read, flag]
    for cfg in ("progressive", "tiny-progressive"):
        assert resolve(KNEE, cfg, parts).model.batch_scale == {4: 2, 8: 5}


def test_tables_are_read_at_the_side_or_below() -> None:
    assert [value_at(side, {8: "a", 32: "b"}) for side in (4, 8, 24, 32, 500)] == list("aaabb")


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ({"start_dimension": 10}, "start_dimension': must be one of 4, 8, 16, .* got 10"),
        ({"final_dimension": 512}, "final_dimension': must be one of 4, .* got 512"),
        ({"start_dimension": 32, "final_dimension": 8}, "must be at least start_dimension, which"),
        ({"r1_gamma": 1.0}, "r1_gamma': has no effect with the loss wgan-gp: .*, got 1$"),
        (
            {"start_dimension": 4, "final_dimension": 4, "spread_weight": 2.0},
            "spread_weight': must be 0 for images this small: .* got 2",
        ),
        ({"channel_base": 64}, "channel_base': must be at least 256, .* got 64"),
        ({"batch_scale": {}}, "batch_scale"),
        ({"rate_scale": {"0": 1}}, "rate_scale"),
    ],
)
def test_stages_that_cannot_be(model: dict, rule: str) -> None:
    with pytest.raises(UserError, match=rule):
        run(KNEE, "progressive", **model)


def test_adaptive_augmentation_needs_scores_with_a_sign() -> None:
    with pytest.raises(UserError, match="augment.mode': reads the signs .*--aug fixed --p 0.2"):
        resolve(KNEE, "progressive", [{"data": {"path": "x.zip"}, "augment": {"mode": "ada"}}])
    adaptive = {"data": {"path": "x.zip"}, "augment": {"mode": "ada"}}
    assert resolve(KNEE, "progressive", [adaptive, {"model": {"loss": "logistic"}}])


def test_names_that_all_families_have() -> None:
    assert preset("auto", KNEE) == preset("progressive", KNEE)
    small = preset("tiny", KNEE)
    assert small == preset("tiny-progressive", KNEE)
    sizes = range(4, 1 + max(KNEE.grid.sides))
    assert small["model"]["start_dimension"] in sizes


def test_the_small_preset_fits_the_smallest_images() -> None:
    """Which have no features to compare."""
    for side, weight in ((4, 0.0), (8, 2.0)):
        spec = ImageSpec(height=side, width=side, modalities={"image": 1})
        assert run(spec, "tiny-progressive").model.tree()["spread_weight"] == weight
