"""Random numbers: known answers, and that nothing but seed, stream and index decides them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from synthograph.core.seeds import Streams, philox4x32, random_words, stream_key


def block(words4: str) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor([int(word, 16)]) for word in words4.split())


# Random123, kat_vectors: counter, key, result of Philox4x32-10
KNOWN = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_known_answers_of_random123(counter: str, key: str, result: str) -> None:
    first, second = (int(word, 16) for word in key.split())
    assert philox4x32(block(counter), (first, second)) == block(result)


def test_words_are_philox_of_index_and_block() -> None:
    index = (7 << 32) + 5
    drawn = random_words(3, "x", torch.tensor([index]), 6)[0]
    parts = [
        philox4x32(tuple(torch.tensor([w]) for w in (5, 7, b, 0)), stream_key(3, "x"))
        for b in (0, 1)
    ]
    assert drawn.tolist() == torch.cat([torch.cat(part) for part in parts])[:6].tolist()


def test_the_key_is_the_same_for_ever() -> None:
    # sha256 of `0/data`, as sha256sum says; other keys would change every run of every seed
    assert stream_key(0, "data") == (0xEACA7314, 0xA1301961)


@given(
    st.lists(st.integers(0, 2**40), min_size=1, max_size=6),
    st.integers(0, 2**31),
    st.sampled_from([(), (1,), (3,), (2, 3)]),
)
@settings(max_examples=30, deadline=None)
def test_numbers_never_depend_on_the_batch(
    indices: list[int], seed: int, shape: tuple[int, ...]
) -> None:
    streams, batch = Streams(seed), torch.tensor(indices)
    alone = [torch.tensor([i]) for i in indices]
    for draw in (streams.uniform, streams.normal):
        together = draw("s", batch, shape)
        assert together.shape == (len(indices), *shape)
        assert torch.equal(together, torch.cat([draw("s", i, shape) for i in alone]))
    ints = streams.integers("s", batch, 1000)
    assert torch.equal(ints, torch.cat([streams.integers("s", i, 1000) for i in alone]))


def test_a_longer_draw_begins_like_a_shorter_one() -> None:
    streams, n = Streams(1), torch.arange(5)
    assert torch.equal(streams.normal("s", n, (9,))[:, :4], streams.normal("s", n, (4,)))


@pytest.mark.parametrize("shape", [(0,), (0, 3)])
def test_nothing_can_be_drawn(shape: tuple[int, ...]) -> None:
    streams = Streams(0)
    assert streams.uniform("s", torch.arange(3), shape).shape == (3, *shape)
    assert streams.normal("s", torch.arange(3), shape).shape == (3, *shape)
    assert streams.normal("s", torch.arange(0), (4,)).shape == (0, 4)


def test_streams_seeds_and_prefixes_are_independent() -> None:
    n = torch.arange(20_000)
    base = Streams(0)
    others = [
        base.uniform("b", n),
        Streams(1).uniform("a", n),
        base.under("p").uniform("a", n),
        base.uniform("a", n + 20_000),
        base.uniform("a", n + (1 << 32)),
    ]
    first = base.uniform("a", n)
    for other in others:
        assert abs(float(torch.corrcoef(torch.stack((first, other)))[0, 1])) < 0.03
    assert torch.equal(base.under("p").uniform("a", n), base.uniform("p/a", n))


def test_uniform_is_uniform_and_never_one() -> None:
    drawn = Streams(5).uniform("u", torch.arange(50_000), (2,)).flatten()
    assert 0 <= float(drawn.min()) and float(drawn.max()) < 1
    assert stats.kstest(drawn.double().numpy(), "uniform").pvalue > 1e-3


def test_normal_is_normal() -> None:
    drawn = Streams(6).normal("n", torch.arange(40_000), (3,))
    assert torch.isfinite(drawn).all()
    flat = drawn.flatten().double().numpy()
    assert abs(flat.mean()) < 0.012 and abs(flat.std() - 1) < 0.01
    assert abs(stats.kurtosis(flat)) < 0.05 and abs(stats.skew(flat)) < 0.03
    assert stats.kstest(flat, "norm").pvalue > 1e-3
    # the two numbers of one Box-Muller pair
    assert abs(float(torch.corrcoef(drawn[:, :2].T)[0, 1])) < 0.02


@given(st.integers(1, 2**31), st.integers(0, 2**40))
@settings(max_examples=50, deadline=None)
def test_integers_stay_in_range(high: int, first: int) -> None:
    drawn = Streams(0).integers("i", torch.arange(first, first + 64), high)
    assert int(drawn.min()) >= 0 and int(drawn.max()) < high


def test_integers_are_even() -> None:
    drawn = Streams(0).integers("i", torch.arange(30_000), 7)
    assert stats.chisquare(torch.bincount(drawn, minlength=7).numpy()).pvalue > 1e-3


@pytest.mark.parametrize("count", [1, 2, 17, 1000])
def test_permutations_are_permutations_that_differ_by_epoch(count: int) -> None:
    streams = Streams(3)
    first, second = streams.permutation("p", 0, count), streams.permutation("p", 1, count)
    assert sorted(first.tolist()) == list(range(count))
    assert count < 17 or not torch.equal(first, second)
    assert torch.equal(Streams(3).permutation("p", 1, count), second)


def test_every_place_of_a_permutation_is_equally_likely() -> None:
    firsts = torch.tensor([int(Streams(s).permutation("p", 0, 6)[0]) for s in range(480)])
    assert stats.chisquare(torch.bincount(firsts, minlength=6).numpy()).pvalue > 1e-3


def test_order_runs_through_whole_epochs() -> None:
    streams, count = Streams(4), 10
    order = streams.order("d", torch.arange(35), count)
    for epoch in range(4):
        part = order[epoch * count : (epoch + 1) * count]
        assert torch.equal(part, streams.permutation("d", epoch, count)[: len(part)])
    pieces = [streams.order("d", torch.arange(i, i + 7), count) for i in range(0, 35, 7)]
    assert torch.equal(torch.cat(pieces), order)


def test_order_across_many_epochs_in_one_batch() -> None:
    assert Streams(0).order("d", torch.arange(50), 1).tolist() == [0] * 50
    far = Streams(0).order("d", torch.arange(3 << 33, (3 << 33) + 6), 3)
    assert sorted(far[:3].tolist()) == [0, 1, 2]


def test_box_muller_cannot_reach_infinity() -> None:
    assert math.sqrt(-2 * math.log(2.0**-24)) < 5.8


def test_words_by_numpy_are_those_of_tensors() -> None:
    indices = torch.tensor([0, 1, 7 + (3 << 32)])
    shape, blocks = (3, 5), torch.arange(5).expand(3, 5)
    low, high = indices & 0xFFFFFFFF, indices >> 32
    counter = (low[:, None].expand(shape), high[:, None].expand(shape), blocks, blocks * 0)
    expected = torch.stack(philox4x32(counter, stream_key(9, "y")), dim=2).flatten(1)
    assert torch.equal(random_words(9, "y", indices, 18), expected[:, :18])
