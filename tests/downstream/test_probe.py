"""A probe on features with a known answer."""

import pytest
import torch

from synthograph.downstream import probe
from synthograph.stats.risks import calibration_intercept, calibration_slope
from synthograph.stats.scores import ACCURACY, AUROC, BALANCED_ACCURACY, BRIER, Predictions, decide


def clouds(count: int, seed: int, classes: int = 3, dims: int = 20) -> tuple:
    """Classes that lie apart in a few of many features."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    values = torch.randn(count, dims, generator=rng)
    values[torch.arange(count), labels] += 4
    return values * 3 + 7, labels


def blank(labels: torch.Tensor, classes: int = 3) -> Predictions:
    n = len(labels)
    even = torch.full((n, classes), 1 / classes, dtype=torch.float64)
    return Predictions(even, labels, torch.arange(n), torch.zeros(n, dtype=torch.int64))


def evenly(classes: int = 3) -> torch.Tensor:
    return torch.full((classes,), 1 / classes, dtype=torch.float64)


def fitted(count: int = 150, score=AUROC) -> probe.LogisticProbe:
    features, labels = clouds(count, 0)
    more, others = clouds(60, 1)
    weights = torch.ones(count, dtype=torch.float64)
    return probe.fit(features, labels, weights, blank(others), more, evenly(), score)[0]


def test_what_lies_apart_is_separated() -> None:
    made = fitted()
    features, labels = clouds(300, 2)
    p = made.probabilities(features)
    assert p.sum(1).tolist() == pytest.approx([1.0] * 300)
    found = Predictions(p, labels, torch.arange(300), torch.zeros(300, dtype=torch.int64))
    assert AUROC.value(found) > 0.98
    assert ACCURACY.value(found) > 0.93


def test_the_gradient_ends_at_the_least_loss() -> None:
    """Against torch's own optimiser on the same penalised loss."""
    features, labels = clouds(90, 0)
    x = features.double()
    x = (x - x.mean(0)) / x.std(0, correction=0)
    weights = torch.rand(90, generator=torch.Generator().manual_seed(1)).double() + 0.5
    start = torch.zeros(3, 21, dtype=torch.float64)
    found = torch.from_numpy(probe._fit_one(x, labels, weights, 0.01, start.numpy()))

    def loss(table: torch.Tensor) -> torch.Tensor:
        log_p = (x @ table[:, :-1].T + table[:, -1]).log_softmax(1)
        nll = -log_p.gather(1, labels[:, None])[:, 0]
        return (weights * nll).sum() / weights.sum() + 0.005 * table[:, :-1].square().sum()

    table = start.clone().requires_grad_()
    steps = torch.optim.LBFGS([table], max_iter=500, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        steps.zero_grad()
        value = loss(table)
        value.backward()
        return value

    steps.step(closure)
    assert float(loss(found)) == pytest.approx(float(loss(table.detach())), abs=1e-6)


def test_balanced_weights_let_every_class_count_the_same() -> None:
    labels = torch.tensor([0] * 90 + [1] * 10)
    weights = probe.balanced_weights(labels, 2)
    assert float(weights[labels == 0].sum()) == pytest.approx(float(weights[labels == 1].sum()))
    assert float(weights.mean()) == pytest.approx(1.0)


def test_the_penalty_is_the_one_that_validation_images_like_best() -> None:
    features, labels = clouds(60, 0)
    more, others = clouds(60, 1)
    weights = torch.ones(60, dtype=torch.float64)
    made, tried, penalty = probe.fit(
        features, labels, weights, blank(others), more, evenly(), BALANCED_ACCURACY
    )
    assert [each.penalty for each in tried] == list(probe.PENALTIES[: len(tried)])
    assert len(tried) > probe.PATIENCE
    p = made.probabilities(more)
    chosen = Predictions(
        p, others, torch.arange(60), torch.zeros(60, dtype=torch.int64), made.shares
    )
    best = max(t.value for t in tried)
    assert BALANCED_ACCURACY.value(chosen) == pytest.approx(best)
    assert penalty == next(t.penalty for t in tried if t.value == pytest.approx(best))


def test_of_a_score_that_should_be_low_the_lowest_chooses() -> None:
    features, labels = clouds(60, 0)
    more, others = clouds(60, 1)
    weights = torch.ones(60, dtype=torch.float64)
    _, tried, penalty = probe.fit(features, labels, weights, blank(others), more, evenly(), BRIER)
    assert penalty == min(tried, key=lambda t: t.value).penalty


def test_images_of_another_kind_are_far_away() -> None:
    made = fitted()
    features, _ = clouds(200, 3)
    assert float((made.distances(features) > 1).double().mean()) < 0.15
    assert float(made.distances(features + 60).min()) > 1
    noise = torch.randn(50, 20, generator=torch.Generator().manual_seed(0)) * 60
    assert float((made.distances(noise) > 1).double().mean()) > 0.95


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("count", [6, 24])
def test_few_images_leave_no_axis_along_which_nothing_varies(count: int, repeats: int) -> None:
    """n centred images vary along n - 1 axes, repeated ones along no more."""
    features, labels = (
        torch.cat([each] * repeats) for each in clouds(count, 0, classes=2, dims=64)
    )
    more, others = clouds(40, 1, classes=2, dims=64)
    weights = torch.ones(len(labels), dtype=torch.float64)
    made = probe.fit(features, labels, weights, blank(others, 2), more, evenly(2), AUROC)[0]
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 2)
    with torch.no_grad():
        last = probe.of_layer(layer.weight, layer.bias, features, more, others, evenly(2))
    for each in (made, last):
        assert len(each.spread) == count - 1
        assert 0.2 < float(each.distances(clouds(40, 2, classes=2, dims=64)[0]).median()) < 3
        assert float(each.distances(features.mean(0) + 50 * torch.randn(40, 64)).min()) > 3
    same = probe.fit(
        torch.ones(6, 4), labels[:6], weights[:6], blank(others, 2), more[:, :4], evenly(2), AUROC
    )
    assert len(same[0].spread) == 1


def test_numbers_survive_their_file_and_damaged_ones_are_refused() -> None:
    made = fitted()
    again = probe.LogisticProbe.from_tensors(made.tensors())
    features, _ = clouds(5, 4)
    assert torch.equal(again.probabilities(features), made.probabilities(features))
    tensors = made.tensors()
    with pytest.raises(KeyError):
        probe.LogisticProbe.from_tensors({k: v for k, v in tensors.items() if k != "bias"})
    with pytest.raises(ValueError, match="fit each other"):
        probe.LogisticProbe.from_tensors({**tensors, "bias": torch.zeros(7)})
    with pytest.raises(ValueError, match="finite"):
        probe.LogisticProbe.from_tensors({**tensors, "mean": tensors["mean"] * torch.nan})
    for temperature in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="finite"):
            probe.LogisticProbe.from_tensors({**tensors, "temperature": torch.tensor(temperature)})


def test_a_file_with_a_temperature_says_what_it_said() -> None:
    made = fitted()
    tensors = {k: v for k, v in made.tensors().items() if k != "offset"}
    again = probe.LogisticProbe.from_tensors({**tensors, "temperature": torch.tensor(2.0)})
    features, _ = clouds(5, 4)
    logits = (features.double() - made.mean) / made.scale @ made.weight.T + made.bias
    assert torch.allclose(again.probabilities(features), (logits / 2).softmax(1))
    assert list(again.shares) == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e3])
def test_images_told_apart_without_an_error_leave_some_doubt(size: float) -> None:
    """100 images: what is said of each is about 1 / 102 short of certain, however large logits."""
    labels = torch.arange(100) % 2
    logits = torch.nn.functional.one_hot(labels, 2).double() * size
    slope, offset = probe.calibration(logits, labels, evenly(2))
    found = (logits * slope + offset).softmax(1).gather(1, labels[:, None])
    assert 0.98 < float(found.min()) < 0.995


def test_logits_that_tell_nothing_leave_the_shares_of_the_classes() -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    logits = torch.zeros(100, 3, dtype=torch.float64)
    slope, offset = probe.calibration(logits, labels, probe.frequencies(labels, 3))
    p = (logits * slope + offset).softmax(1)
    assert p[0].tolist() == pytest.approx([0.6, 0.3, 0.1], abs=0.01)


@pytest.mark.parametrize("classes", [2, 3])
def test_of_a_rare_class_balanced_weights_do_not_make_a_probable_one(classes: int) -> None:
    """Mean probabilities are the shares, and slope and intercept those of risks, though every class
    counts the same in training; what is decided is what training says.
    """
    rng = torch.Generator().manual_seed(0)

    def drawn(count: int) -> tuple:
        labels = (torch.rand(count, generator=rng) < 0.1).long()
        if classes == 3:
            labels[torch.rand(count, generator=rng) < 0.3] = 2
        values = torch.randn(count, 10, generator=rng)
        values[torch.arange(count), labels] += 1.5
        return values, labels

    (seen, own), (more, others), (new, wanted) = drawn(900), drawn(1200), drawn(4000)
    weights = probe.balanced_weights(own, classes)
    shares = probe.frequencies(torch.cat((own, others)), classes)
    made = probe.fit(seen, own, weights, blank(others, classes), more, shares, AUROC)[0]
    p = made.probabilities(new)
    for c in range(classes):
        positive = wanted == c
        assert float(p[:, c].mean()) == pytest.approx(float(positive.double().mean()), abs=0.025)
        once = torch.ones(1, len(new), dtype=torch.float64)
        assert float(calibration_intercept(p[:, c], positive, once)) == pytest.approx(0, abs=0.5)
        assert float(calibration_slope(p[:, c], positive, once)) == pytest.approx(1, abs=0.25)
    logits = (new.double() - made.mean) / made.scale @ made.weight.T + made.bias
    assert torch.equal(decide(p, made.shares), logits.argmax(1))


def test_the_last_layer_of_a_network_as_a_probe_says_the_same_classes() -> None:
    torch.manual_seed(0)
    features, checked = torch.randn(300, 12) * 3 + 5, torch.randn(40, 12) * 3 + 5
    layer = torch.nn.Linear(12, 3)
    with torch.no_grad():
        logits = layer(checked).double()
        labels = logits.argmax(1)
        made = probe.of_layer(
            layer.weight.detach(), layer.bias.detach(), features, checked, labels, evenly()
        )
    slope, offset = probe.calibration(logits, labels, evenly())
    p = made.probabilities(checked)
    assert torch.allclose(p, (logits * slope + offset).softmax(1), atol=1e-4)
    assert torch.equal(decide(p, made.shares), logits.argmax(1))
    assert float((made.distances(features) > 1).double().mean()) <= 0.011
    assert float(made.distances(torch.full((1, 12), 40.0))) > 2


def test_what_tells_nothing_keeps_its_order_in_the_digits_of_a_table() -> None:
    """Validation images that contradict the logits: probabilities are all but equal, and differ."""
    labels = torch.arange(60) % 2
    logits = -torch.nn.functional.one_hot(labels, 2).double()
    logits[:, 0] += torch.linspace(0, 0.1, 60)
    slope, offset = probe.calibration(logits, labels, evenly(2))
    p = (logits * slope + offset).softmax(1)[:, 1]
    assert p.tolist() == pytest.approx([0.5] * 60, abs=0.02)
    assert len({f"{each:.9g}" for each in p.tolist()}) == 60
