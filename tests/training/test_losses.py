"""The losses against PyTorch's own, values and gradients, and the focal loss against its formula written out."""

import numpy as np
import pytest
import torch
from scipy import optimize
from torch.nn import functional

from ftcls.config.loss_schema import Loss
from ftcls.training import fit, losses

K = 4
SMOOTHINGS = [0.0, 0.1]
KINDS = [(kind, task) for kind in ("cross_entropy", "focal") for task in (False, True)] + [("asymmetric", True)]


@pytest.fixture
def logits():
    return (torch.randn(7, K, generator=torch.Generator().manual_seed(1)) * 3).requires_grad_()


@pytest.fixture
def classes():
    return torch.tensor([0, 1, 2, 3, 3, 1, 0])


@pytest.fixture
def many():
    return (torch.rand(7, K, generator=torch.Generator().manual_seed(2)) > 0.6).float()


WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 0.25])


def objective(kind="cross_entropy", *, multilabel=False, **settings):
    plain = {
        "gamma": 2.0,
        "gamma_positive": 0.0,
        "gamma_negative": 4.0,
        "margin": 0.05,
        "negative_scale": 1.0,
        "label_smoothing": 0.0,
        "class_weights": None,
        "pos_weight": None,
        "adjustment": None,
    }
    return losses.build(kind, multilabel=multilabel, **plain | settings)


def assert_equal_with_gradients(found, expected, logits, rtol=1e-5):
    torch.testing.assert_close(found, expected, rtol=rtol, atol=1e-6)
    assert found.dtype == torch.float32
    # Every example another factor, so that no error cancels in the sum.
    factors = torch.arange(1.0, len(found) + 1)
    gradients = [
        torch.autograd.grad((each * factors).sum(), logits, retain_graph=True)[0] for each in (found, expected)
    ]
    torch.testing.assert_close(*gradients, rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_categorical_is_cross_entropy(logits, classes, smoothing):
    found = objective(label_smoothing=smoothing)(logits, classes)
    expected = functional.cross_entropy(logits, classes, reduction="none", label_smoothing=smoothing)
    assert_equal_with_gradients(found, expected, logits)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_probabilities_as_targets_are_what_pytorch_makes_of_them(logits, classes, smoothing):
    shares = torch.softmax(torch.randn(7, K, generator=torch.Generator().manual_seed(3)), dim=-1)
    for targets in (shares, functional.one_hot(classes, K).float()):
        found = objective(label_smoothing=smoothing)(logits, targets)
        expected = functional.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
        assert_equal_with_gradients(found, expected, logits)
    certain = functional.one_hot(classes, K).float()
    weighted = objective(class_weights=WEIGHTS)
    assert_equal_with_gradients(weighted(logits, certain), weighted(logits, classes), logits)


def test_a_class_weight_scales_the_whole_loss_of_an_example_of_that_class(logits, classes):
    weighted = objective(class_weights=WEIGHTS)(logits, classes)
    assert_equal_with_gradients(
        weighted, functional.cross_entropy(logits, classes, weight=WEIGHTS, reduction="none"), logits
    )
    smoothed = objective(class_weights=WEIGHTS, label_smoothing=0.1)(logits, classes)
    unweighted = functional.cross_entropy(logits, classes, reduction="none", label_smoothing=0.1)
    assert_equal_with_gradients(smoothed, unweighted * WEIGHTS[classes], logits)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_binary_is_binary_cross_entropy_as_a_mean_over_the_labels(logits, many, smoothing, weights):
    found = objective(multilabel=True, label_smoothing=smoothing, class_weights=weights)(logits, many)
    goal = many * (1 - smoothing) + 0.5 * smoothing
    expected = functional.binary_cross_entropy_with_logits(logits, goal, weight=weights, reduction="none").mean(-1)
    assert_equal_with_gradients(found, expected, logits)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_categorical_focal_is_its_formula(logits, classes, gamma, weights):
    found = objective("focal", gamma=gamma, class_weights=weights)(logits, classes)
    p = torch.softmax(logits, -1)[torch.arange(len(classes)), classes]
    expected = -((1 - p) ** gamma) * torch.log(p) * (1 if weights is None else weights[classes])
    assert_equal_with_gradients(found, expected, logits, rtol=1e-4)


def test_smoothed_categorical_focal_has_one_term_for_each_class(logits, classes):
    found = objective("focal", gamma=2.0, label_smoothing=0.2)(logits, classes)
    p = torch.softmax(logits, -1)
    goal = torch.full_like(p, 0.2 / K)
    goal[torch.arange(len(classes)), classes] += 0.8
    assert_equal_with_gradients(found, -(goal * (1 - p) ** 2 * torch.log(p)).sum(-1), logits, rtol=1e-4)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_binary_focal_is_its_formula(logits, many, gamma, smoothing, weights):
    found = objective("focal", multilabel=True, gamma=gamma, label_smoothing=smoothing, class_weights=weights)(
        logits, many
    )
    p = torch.sigmoid(logits)
    goal = many * (1 - smoothing) + 0.5 * smoothing
    terms = -goal * (1 - p) ** gamma * torch.log(p) - (1 - goal) * p**gamma * torch.log(1 - p)
    assert_equal_with_gradients(found, (terms * (1 if weights is None else weights)).mean(-1), logits, rtol=1e-4)


@pytest.mark.parametrize("multilabel", [False, True])
def test_the_gradient_is_the_slope_of_the_loss(logits, classes, many, multilabel):
    loss = objective("focal", multilabel=multilabel, label_smoothing=0.1, class_weights=WEIGHTS)
    targets = many if multilabel else classes
    (gradient,) = torch.autograd.grad(loss(logits, targets).sum(), logits)
    with torch.no_grad():  # the losses compute in float32: central differences with a wide step
        for i, j in ((0, 0), (3, 2), (6, 1)):
            step = torch.zeros_like(logits)
            step[i, j] = 0.02
            slope = (loss(logits + step, targets).sum() - loss(logits - step, targets).sum()) / 0.04
            assert gradient[i, j].item() == pytest.approx(slope.item(), rel=0.01, abs=1e-3)


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_focal_with_gamma_zero_is_the_plain_loss(logits, classes, many, multilabel, weights, smoothing):
    targets = many if multilabel else classes
    settings = {"multilabel": multilabel, "class_weights": weights, "label_smoothing": smoothing}
    torch.testing.assert_close(
        objective("focal", gamma=0.0, **settings)(logits, targets), objective(**settings)(logits, targets)
    )


def test_the_plain_loss_has_no_gamma(logits, classes):
    torch.testing.assert_close(objective(gamma=5.0)(logits, classes), objective(gamma=0.0)(logits, classes))


@pytest.mark.parametrize(("kind", "multilabel"), KINDS)
@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_extreme_logits_have_finite_losses_and_gradients(kind, gamma, smoothing, multilabel):
    settings = {"gamma": gamma, "gamma_negative": gamma, "label_smoothing": smoothing}
    extreme = torch.tensor([[1e4, -1e4], [-1e4, 1e4], [0.0, 0.0], [60.0, -60.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0]] * 4) if multilabel else torch.tensor([0, 0, 1, 0])
    loss = objective(kind, multilabel=multilabel, **settings)(extreme, targets)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(extreme.grad).all()
    # Surely wrong. The asymmetric loss cuts the cost of a label that does not apply off at -log(margin).
    assert loss[1] > 1_000


ODDS = torch.tensor([0.3, -1.0, 2.0, -4.0])


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_pos_weight_is_that_of_pytorch(logits, many, smoothing, weights):
    found = objective(multilabel=True, label_smoothing=smoothing, class_weights=weights, pos_weight=WEIGHTS * 9)(
        logits, many
    )
    goal = many * (1 - smoothing) + 0.5 * smoothing
    expected = functional.binary_cross_entropy_with_logits(
        logits, goal, weight=weights, pos_weight=WEIGHTS * 9, reduction="none"
    )
    assert_equal_with_gradients(found, expected.mean(-1), logits)


@pytest.mark.parametrize(("positive", "negative", "margin"), [(0, 4, 0.05), (1, 4, 0.05), (1, 2.5, 0.0), (0, 0, 0.2)])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_asymmetric_is_its_formula(logits, many, positive, negative, margin, weights):
    settings = {"gamma_positive": positive, "gamma_negative": negative, "margin": margin}
    found = objective("asymmetric", multilabel=True, pos_weight=weights, **settings)(logits, many)
    p = torch.sigmoid(logits.double())
    q = (p - margin).clamp_min(0)
    applies = (1 - p) ** positive * torch.log(p) * (1 if weights is None else weights)
    terms = -many * applies - (1 - many) * q**negative * torch.log(1 - q)
    assert_equal_with_gradients(found, terms.mean(-1).float(), logits, rtol=1e-4)


def test_asymmetric_without_gammas_and_margin_is_binary_cross_entropy(logits, many):
    found = objective("asymmetric", multilabel=True, gamma_negative=0.0, margin=0.0)(logits, many)
    assert_equal_with_gradients(found, objective(multilabel=True)(logits, many), logits)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("scale", [2.0, 5.0])
def test_distribution_balanced_is_its_formula(logits, many, gamma, scale):
    counts = torch.tensor([200.0, 20.0, 4.0, 90.0])
    settings = {"gamma": gamma, "negative_scale": scale, "rarity": 1 / counts, "adjustment": ODDS}
    found = objective("distribution_balanced", multilabel=True, **settings)
    z = logits.double() + ODDS
    rows = many.double()
    share = (1 / counts.double()) / (rows / counts.double()).sum(1, keepdim=True)
    weight = 0.1 + 1 / (1 + torch.exp(-10 * (share - 0.9)))
    p, q = torch.sigmoid(z), torch.sigmoid(-scale * z)
    terms = -rows * (1 - p) ** gamma * torch.log(p) - (1 - rows) / scale * (1 - q) ** gamma * torch.log(q)
    assert_equal_with_gradients(found(logits, many), (weight * terms).mean(-1).float(), logits, rtol=1e-4)


def test_a_frequent_label_beside_a_rare_one_counts_little_and_a_row_without_labels_counts_in_full():
    rarity = losses.rarities(np.array([[1, 1], [1, 0], [1, 0], [1, 0], [1, 0]], dtype=np.float32))
    assert rarity.tolist() == [pytest.approx(0.2), 1.0]
    balanced = objective("distribution_balanced", multilabel=True, gamma=0.0, negative_scale=2.0, rarity=rarity)
    logits = torch.zeros(3, 2, requires_grad=True)
    loss = balanced(logits, torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]))
    slopes = torch.autograd.grad(loss.sum(), logits)[0].abs()
    assert slopes[0, 0] < slopes[1, 0] / 5
    assert slopes[2] == pytest.approx([1.1 * 0.5 / 2] * 2, rel=1e-3)


def test_a_new_head_starts_where_labels_that_weigh_the_same_cost_least():
    targets = np.zeros((40, 2), dtype=np.float32)
    targets[:10, 0] = targets[:4, 1] = 1
    settings = {"gamma": 0.0, "negative_scale": 2.0, "rarity": losses.rarities(targets)}
    balanced = objective("distribution_balanced", multilabel=True, **settings)
    start = losses.best_constant(losses.without_rarity(balanced), targets)
    # n_1 (1 - s(z)) = n_0 s(2 z)
    for z, ones in zip(start, (10.5, 4.5), strict=True):
        assert ones / (1 + np.exp(z)) == pytest.approx((41 - ones) / (1 + np.exp(-2 * z)), rel=0.02)


@pytest.mark.parametrize("kind", ["cross_entropy", "focal"])
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_negative_tolerance_is_its_formula(logits, many, kind, smoothing):
    settings = {"negative_scale": 3.0, "adjustment": ODDS, "class_weights": WEIGHTS, "label_smoothing": smoothing}
    found = objective(kind, multilabel=True, **settings)(logits, many)
    z, gamma = logits.double() + ODDS, 2.0 if kind == "focal" else 0.0
    goal = many.double() * (1 - smoothing) + smoothing / 2
    p, q = torch.sigmoid(z), torch.sigmoid(-3 * z)
    terms = -goal * (1 - p) ** gamma * torch.log(p) - (1 - goal) / 3 * (1 - q) ** gamma * torch.log(q)
    assert_equal_with_gradients(found, (WEIGHTS * terms).mean(-1).float(), logits, rtol=1e-4)


def test_the_class_balanced_loss_with_negative_tolerance_is_its_published_form(logits, many):
    """Focal, weighted by the effective number of rows, beta .9; bias .05 times the log odds, scale 2."""
    rows = np.array([100, 20, 4, 1])
    targets = np.stack([np.arange(200) < each for each in rows], axis=1).astype(np.float32)
    section = Loss(kind="focal", class_weights="effective_number", beta=0.9, negative_scale=2.0, logit_adjustment=0.05)
    found = fit.objective(section, targets, tuple("abcd"), task="multilabel")(logits, many)
    z = logits.detach().double().numpy() + 0.05 * np.log((rows + 0.5) / (200.5 - rows))
    weight = (1 - 0.9) / (1 - 0.9**rows)
    rows_said = many.numpy()
    p, q = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(2 * z))
    terms = -rows_said * (1 - p) ** 2 * np.log(p) - (1 - rows_said) / 2 * (1 - q) ** 2 * np.log(q)
    np.testing.assert_allclose(found.detach().numpy(), (weight / weight.mean() * terms).mean(-1), rtol=1e-4)


def test_below_the_margin_a_label_that_does_not_apply_costs_nothing_and_pulls_nowhere():
    logits = torch.tensor([[-5.0, -3.2, 0.0]], requires_grad=True)  # probabilities .007, .039 and .5
    loss = objective("asymmetric", multilabel=True)(logits, torch.zeros(1, 3))
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert loss.item() > 0
    assert gradient[0, :2].tolist() == [0.0, 0.0]
    assert gradient[0, 2] > 0


@pytest.mark.parametrize("kind", ["cross_entropy", "focal"])
def test_an_adjustment_is_added_to_the_logits(logits, classes, many, kind):
    found = objective(kind, adjustment=ODDS)(logits, classes)
    assert_equal_with_gradients(found, objective(kind)(logits + ODDS, classes), logits)
    found = objective(kind, multilabel=True, adjustment=ODDS)(logits, many)
    assert_equal_with_gradients(found, objective(kind, multilabel=True)(logits + ODDS, many), logits)


@pytest.mark.parametrize(("kind", "multilabel"), KINDS)
def test_the_gradients_of_every_loss_are_right_to_double_precision(logits, classes, many, multilabel, kind):
    extra = {"pos_weight": WEIGHTS} if multilabel else {}
    if multilabel and kind != "asymmetric":
        extra["negative_scale"] = 2.0
    loss = objective(
        kind, multilabel=multilabel, gamma=1.5, label_smoothing=0.1, class_weights=WEIGHTS, adjustment=ODDS, **extra
    )
    exact = logits.detach().double().requires_grad_()
    targets = many if multilabel else classes
    assert loss(exact, targets).dtype == torch.float64
    assert torch.autograd.gradcheck(lambda x: loss(x, targets), exact)


COUNTS = np.array([1, 5, 40, 150])
ROWS = np.stack([np.arange(200) < count for count in COUNTS], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("cross_entropy", {}),
        ("cross_entropy", {"pos_weight": WEIGHTS * 9, "class_weights": WEIGHTS}),
        ("cross_entropy", {"label_smoothing": 0.2, "adjustment": torch.tensor([-4.0, -3.0, -1.0, 1.0])}),
        ("focal", {}),
        ("focal", {"gamma": 5.0, "pos_weight": WEIGHTS}),
        ("asymmetric", {}),
        ("asymmetric", {"gamma_positive": 1.0, "margin": 0.2}),
    ],
)
def test_no_constant_answer_costs_less_than_the_best_one(kind, settings):
    found = losses.best_constant(objective(kind, multilabel=True, **settings), ROWS)
    for label, count in enumerate(COUNTS):
        own = {name: each[label : label + 1] if torch.is_tensor(each) else each for name, each in settings.items()}
        loss = objective(kind, multilabel=True, **own)

        def cost(logit, loss=loss, count=count):
            given, not_given = loss(torch.full((2, 1), logit, dtype=torch.float64), torch.tensor([[1.0], [0.0]]))
            return float((count + 0.5) * given + (len(ROWS) - count + 0.5) * not_given)

        start = min(np.linspace(-14, 14, 57).tolist(), key=cost)
        best = optimize.minimize_scalar(cost, bounds=(start - 0.5, start + 0.5), method="bounded").x
        assert found[label] == pytest.approx(best, abs=0.011)


def test_the_best_constant_answer_is_the_log_odds_moved_by_weights_and_adjustment():
    odds = np.log((COUNTS + 0.5) / (len(ROWS) - COUNTS + 0.5))
    found = losses.best_constant(objective(multilabel=True), ROWS)
    np.testing.assert_allclose(found, odds, atol=0.006)
    found = losses.best_constant(objective(multilabel=True, pos_weight=WEIGHTS), ROWS)
    np.testing.assert_allclose(found, odds + np.log(WEIGHTS.numpy()), atol=0.006)
    told = losses.logit_adjustment(1.0, ROWS, LABELS)
    found = losses.best_constant(objective(multilabel=True, adjustment=told), ROWS)
    np.testing.assert_allclose(found, 0, atol=0.006)


def test_the_best_constant_answer_counts_rows_as_often_as_they_are_drawn():
    shares = np.where(ROWS[:, 0] > 0, 50.5, (200 - 50.5) / 199)  # the one row of the first label, 50 times
    found = losses.best_constant(objective(multilabel=True), ROWS, shares)
    assert found[0] == pytest.approx(np.log(51 / 150), abs=0.006)


def test_a_label_without_a_row_and_one_of_every_row_have_a_best_constant_answer():
    rows = np.array([[0, 1]] * 20, dtype=np.float32)
    found = losses.best_constant(objective(multilabel=True), rows)
    np.testing.assert_allclose(found, np.log([0.5 / 20.5, 20.5 / 0.5]), atol=0.006)


@pytest.mark.parametrize("settings", [{"kind": "asymmetric"}, {"pos_weight": WEIGHTS}, {"negative_scale": 2.0}])
def test_losses_of_several_labels_refuse_a_single_one(settings):
    with pytest.raises(ValueError, match="multilabel"):
        objective(**{"kind": "cross_entropy", **settings})


@pytest.mark.parametrize("multilabel", [False, True])
def test_half_precision_logits_are_taken_in_float32(logits, classes, many, multilabel):
    targets = many if multilabel else classes
    half = logits.detach().bfloat16()
    found = objective("focal", multilabel=multilabel)(half, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, objective("focal", multilabel=multilabel)(half.float(), targets))


@pytest.mark.parametrize("multilabel", [False, True])
def test_micro_batches_summed_and_divided_are_the_mean_of_the_batch(logits, classes, many, multilabel):
    targets = many if multilabel else classes
    loss = objective("focal", multilabel=multilabel, class_weights=WEIGHTS)
    parts = [loss(logits[a:b], targets[a:b]).sum() / len(logits) for a, b in ((0, 3), (3, 4), (4, 7))]
    torch.testing.assert_close(sum(parts), loss(logits, targets).mean())


LABELS = ("world", "sports", "no", "a, b")


def test_no_choice_is_no_weights():
    assert losses.weights(None, np.array([0, 1]), LABELS, beta=0.999) is None


def test_balanced_weights_are_inverse_frequencies_with_mean_one_over_the_rows():
    targets = np.repeat([0, 1, 2, 3], [10, 5, 4, 1])
    found = losses.weights("balanced", targets, LABELS, beta=0.999).double().numpy()
    assert found.dtype == np.float64
    assert found[targets].mean() == pytest.approx(1.0)
    # As scikit-learn's compute_class_weight("balanced"): n / (k * count).
    np.testing.assert_allclose(found, 20 / (4 * np.array([10, 5, 4, 1])), rtol=1e-6)


def test_a_label_without_a_row_counts_as_if_it_had_one():
    targets = np.array([0, 0, 1, 1, 3])
    found = losses.weights("balanced", targets, LABELS, beta=0.999).double().numpy()
    assert found[2] == found[3] == pytest.approx(2 * found[0])
    assert found[targets].mean() == pytest.approx(1.0)


def test_a_mapping_goes_by_name_and_a_label_it_leaves_out_weighs_one_before_scaling():
    targets = np.array([0, 1, 2, 3, 3, 3])
    found = losses.weights({"a, b": 3.0, "no": 0.5}, targets, LABELS, beta=0.999).double().numpy()
    np.testing.assert_allclose(found / found[0], [1.0, 1.0, 0.5, 3.0], rtol=1e-6)
    assert found[targets].mean() == pytest.approx(1.0)


@pytest.mark.parametrize("choice", ["balanced", {"sports": 4.0}])
def test_multilabel_weights_have_mean_one_over_the_labels(choice):
    targets = np.array([[1, 0, 0, 1], [1, 1, 0, 1], [1, 0, 0, 0]], dtype=np.float32)
    found = losses.weights(choice, targets, LABELS, beta=0.999).double().numpy()
    assert found.mean() == pytest.approx(1.0)
    expected = np.array([1 / 3, 1, 1, 1 / 2] if choice == "balanced" else [1, 4, 1, 1])
    np.testing.assert_allclose(found / found[0], expected / expected[0], rtol=1e-6)


def test_effective_numbers_are_those_of_their_formula():
    targets = np.repeat([0, 1, 2, 3], [2000, 500, 40, 1])
    found = losses.weights("effective_number", targets, LABELS, beta=0.99).double().numpy()
    expected = 0.01 / (1 - 0.99 ** np.array([2000, 500, 40, 1]))
    np.testing.assert_allclose(found / found[3], expected / expected[3], rtol=1e-5)
    assert found[targets].mean() == pytest.approx(1.0)
    assert found[0] == pytest.approx(found[1], rel=0.01)  # both have all there is to know


SEVERAL = np.array([[1, 0, 0, 1]] + [[0, 0, 0, 1]] * 15, dtype=np.float32)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("balanced", [15, 16, 16, 1 / 16]),  # a label without a row counts as if it had one, on either side
        ("square_root", [15**0.5, 4, 4, 1 / 4]),
        ({"no": 7.0}, [1, 1, 7, 1]),
    ],
)
def test_pos_weights(choice, expected):
    np.testing.assert_allclose(losses.pos_weights(choice, SEVERAL, LABELS).numpy(), expected, rtol=1e-6)
    assert losses.pos_weights(None, SEVERAL, LABELS) is None


def test_logit_adjustment_is_the_log_prior_of_a_class():
    found = losses.logit_adjustment(2.0, np.repeat([0, 1, 3], [500, 300, 200]), LABELS).double().numpy()
    np.testing.assert_allclose(found[[0, 1, 3]], 2 * np.log([0.5, 0.3, 0.2]), rtol=0.005)
    assert np.isfinite(found[2])
    assert found[2] == found.min()


def test_logit_adjustment_is_the_log_odds_of_one_label_of_several():
    found = losses.logit_adjustment(1.0, np.tile(SEVERAL, (100, 1)), LABELS).double().numpy()
    np.testing.assert_allclose(found[0], np.log(1 / 15), rtol=0.01)
    assert np.isfinite(found).all()
    assert losses.logit_adjustment(0.0, SEVERAL, LABELS) is None
