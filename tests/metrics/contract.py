"""What every measure keeps; the tests of a measure inherit it."""

from typing import ClassVar

import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.metrics.measure import Measure, Source
from synthograph.metrics.measures import BY_NAME, compare, floors, plain
from synthograph.results.evaluation import Entry, Measurements, parse_line
from synthograph.results.measures import MEASURES
from synthograph.stats.sample import Sample
from tests.metrics.draws import gaussian

SPEC = ImageSpec(height=32, width=32, modalities={"image": 1}, bits=8)


class MeasureContract:
    """A measure under its registered name; `rows` may give others for what it is computed from."""

    name: ClassVar[str]

    @property
    def measure(self) -> Measure:
        return BY_NAME[self.name]

    def rows(self, seed: int, count: int, *, shift: float = 0.0, per: int = 1) -> Sample:
        """Rows of a set of images; those of another `shift` are of worse images."""
        drawn = gaussian(seed, count // per, 5, per=per, likeness=0.5, shift=shift)
        if self.measure.source is Source.PROBABILITIES:
            return Sample(drawn.values.softmax(1), drawn.groups)
        if self.measure.source is Source.SIMILARITIES:
            paired = torch.arange(len(drawn)) % 2 == 1
            values = torch.where(paired, drawn.values[:, 0].sigmoid(), -1.0)
            return Sample(values[:, None], drawn.groups)
        if self.measure.source is Source.NOISE:
            first, noise = drawn.values, gaussian(seed + 100, len(drawn), 5).values
            marks, own = torch.ones(len(drawn), 1), first + (0.1 + shift) * noise
            return Sample(torch.cat([marks, own, first], 1), drawn.groups)
        return drawn

    def test_readers_know_what_it_is(self) -> None:
        measure = self.measure
        assert measure.name == self.name
        assert (measure.described is None) == (self.name in MEASURES), "described once"
        assert measure.about.title and measure.about.title != self.name

    def test_its_value_lies_in_its_interval_and_can_be_written(self) -> None:
        real, fake = self.rows(0, 120, per=2), self.rows(1, 150, shift=0.3)
        (value,) = compare(real, fake, [self.name])
        assert value.name == self.name and value.value is not None
        assert value.interval is not None and value.value in value.interval
        assert value.n_fake == 150 and value.n_real in (0, 120)
        line = Measurements(entries=(Entry.of(value),))
        assert parse_line(line.tree(), "here") == line

    def test_the_same_rows_give_the_same_numbers_in_any_order(self) -> None:
        real, fake = self.rows(0, 60), self.rows(1, 60, shift=0.3)
        assert compare(real, fake, [self.name]) == compare(real, fake, [self.name])
        if self.measure.plain is not None:
            turned = fake.subset(torch.arange(len(fake)).flip(0))
            expected = pytest.approx(plain(real, fake, [self.name])[self.name], rel=1e-9)
            assert plain(real, turned, [self.name])[self.name] == expected

    def test_its_direction_is_that_of_worse_images(self) -> None:
        better, real = self.measure.about.better, self.rows(0, 120)
        near, far = (
            compare(real, self.rows(1, 120, shift=shift), [self.name])[0].value
            for shift in (0.0, 4.0)
        )
        assert near is not None and far is not None
        if better is not None:
            assert (near < far) == (better.value == "low")

    def test_its_bare_number_is_its_value_and_its_floor_holds_equal_sets(self) -> None:
        real, fake = self.rows(0, 120, per=2), self.rows(1, 120)
        (value,) = compare(real, fake, [self.name])
        bare = plain(real, fake, [self.name])
        if self.measure.plain is None:
            assert bare == {}
        else:
            assert bare[self.name] == pytest.approx(value.value, rel=1e-9)
        found = floors(real, fake, [self.name])
        assert (self.name in found) == bool(self.measure.plain or self.measure.own_floor)
        for floor in found.values():
            assert floor.low <= floor.value <= floor.high and floor.same_n is not None

    def test_too_few_images_have_a_reason_and_no_number(self) -> None:
        few = self.rows(1, 2).subset(torch.zeros(0, dtype=torch.int64))
        (value,) = compare(self.rows(0, 60), few, [self.name])
        assert value.value is None and value.interval is None and value.notes
        assert plain(self.rows(0, 60), few, [self.name]) == {}

    def test_rows_that_are_no_numbers_are_refused(self) -> None:
        broken = self.rows(1, 60)
        broken.values[7, 0] = torch.nan
        if self.measure.source not in (Source.SIMILARITIES, Source.NOISE):  # NaN is no pair
            with pytest.raises(UserError, match="image 7"):
                compare(self.rows(0, 60), broken, [self.name])

    def test_it_says_which_images_it_cannot_measure(self) -> None:
        assert self.measure.refusal(SPEC) is None
        tiny = ImageSpec(height=8, width=8, modalities={"image": 1}, bits=8)
        reason = self.measure.refusal(tiny)
        assert reason is None or "8x8" in reason
