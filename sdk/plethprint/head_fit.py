"""The arithmetic of `plethprint.head`: penalties, folds over people, held-out figures."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import HeadError

__all__ = ["FittedHead", "fit_classes", "fit_number"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

RIDGE_PENALTIES = tuple(float(p) for p in np.logspace(-7, 1, 17))
"""For each row, features at unit variance."""
LOGISTIC_PENALTIES = tuple(float(p) for p in np.logspace(-4, 0, 7))
FOLDS = 10
_KNOTS = 50
_FAR_SHARE = 0.99
_DIGITS = 7
_LARGEST_LOG = 700.0  # exp of more is no float


@dataclass(frozen=True, eq=False)
class FittedHead:
    """The numbers of a head; C is 1 for a number, else the count of classes, K of folds."""

    weights: FloatArray
    """(C, D) on fingerprints of unit length."""
    bias: FloatArray
    """(C,)."""
    centre: FloatArray
    """(D,) mean of the fingerprints fitted on."""
    whitening: FloatArray
    """(D, D), lower triangle: of a fingerprint less the centre it gives unit variances."""
    far_from: float
    """Distance beyond which a fingerprint is unlike those fitted on."""
    log: bool = False
    """Whether the number is the exponential of the linear model."""
    fold_weights: FloatArray | None = None
    """(K, D) of each fold's model, for the interval of a number."""
    fold_bias: FloatArray | None = None
    """(K,)."""
    fold_share: FloatArray | None = None
    """(K,) people held out of it / (people + 1)."""
    residuals: FloatArray | None = None
    """(K, knots) absolute residuals of the people held out, each of equal weight."""
    platt: FloatArray | None = None
    """(C, 2) slope and offset of each class's curve."""
    threshold: float | None = None
    """Least probability of a class of the set."""

    @property
    def dim(self) -> int:
        """Length of the fingerprints, D."""
        return int(self.weights.shape[1])

    @property
    def classes(self) -> int:
        """Classes; 0 for a number."""
        return 0 if self.platt is None else len(self.platt)

    def distance(self, vectors: FloatArray) -> FloatArray:
        """Mahalanobis distance of (N, D) from those fitted on, over the root of D, (N,)."""
        white = _applied(self.whitening, vectors - self.centre)
        distance: FloatArray = np.sqrt(np.mean(white * white, axis=1))
        return distance

    def numbers(
        self, vectors: FloatArray, confidence: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Value, lower and upper end for (N, D), each (N,)."""
        value = _applied(self.weights, vectors)[:, 0] + self.bias[0]
        low, high = self._ends(vectors, confidence)
        if not self.log:
            return value, low, high
        value, low, high = (
            np.exp(np.minimum(end, _LARGEST_LOG)) for end in (value, low, high)
        )
        return value, low, high

    def probabilities(self, vectors: FloatArray) -> FloatArray:
        """Probability of each class for (N, D), (N, C), rows summing to one."""
        assert self.platt is not None
        return platt_probabilities(_applied(self.weights, vectors) + self.bias, self.platt)

    def _ends(
        self, vectors: FloatArray, confidence: float
    ) -> tuple[FloatArray, FloatArray]:
        assert self.fold_weights is not None
        assert self.fold_bias is not None
        assert self.fold_share is not None
        assert self.residuals is not None
        knots = self.residuals.shape[1]
        said = _applied(self.fold_weights, vectors) + self.fold_bias
        share = np.repeat(self.fold_share / knots, knots)
        ends = []
        for sign in (-1.0, 1.0):
            # From the outside in for the lower end as for the upper one.
            reach = (sign * said[:, :, None] + self.residuals).reshape(len(said), -1)
            order = np.argsort(reach, axis=1)
            mass = np.cumsum(share[order], axis=1)
            at = np.minimum((mass < confidence - 1e-9).sum(axis=1), mass.shape[1] - 1)
            end = np.take_along_axis(reach, order, axis=1)[np.arange(len(at)), at]
            ends.append(sign * end)
        return ends[0], ends[1]

    def to_fields(self) -> dict[str, Any]:
        """Plain values for JSON; the whitening as the rows of its triangle."""
        plain: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            plain[f.name] = value.tolist() if isinstance(value, np.ndarray) else value
        plain["whitening"] = [
            row[: place + 1] for place, row in enumerate(plain["whitening"])
        ]
        return plain

    @classmethod
    def from_fields(cls, raw: dict[str, Any], where: str) -> FittedHead:
        """Check plain values and give them shapes.

        Raises
        ------
        HeadError
            If one is missing, unknown, of another shape or not finite.
        """
        names = [f.name for f in fields(cls)]
        if raw.keys() != set(names):
            wrong = ", ".join(sorted(raw.keys() ^ set(names)))
            raise HeadError(f"{where} is no head: missing or unknown are {wrong}")
        try:
            rows = raw["whitening"]
            square = np.zeros((len(rows), len(rows)))
            for place, row in enumerate(rows):
                square[place, : place + 1] = row
            values: dict[str, Any] = {"whitening": square, "log": bool(raw["log"])}
            for name in names:
                if name not in values and raw[name] is not None:
                    number = np.asarray(raw[name], np.float64)
                    values[name] = number if number.ndim else float(number)
                    if not np.isfinite(number).all():
                        raise ValueError(f"{name} is not finite")
            head = cls(**values)
            dim, many = len(rows), len(head.weights)
            expected: dict[str, tuple[int, ...]] = {
                "weights": (many, dim),
                "bias": (many,),
                "centre": (dim,),
                "far_from": (),
            }
            if head.threshold is None:
                folds, knots = values["residuals"].shape
                expected |= {"fold_weights": (folds, dim), "fold_bias": (folds,)}
                expected |= {"fold_share": (folds,), "residuals": (folds, knots)}
                if many != 1 or not folds * knots:
                    raise ValueError("a number has one row of weights and some folds")
            else:
                expected |= {"platt": (many, 2), "threshold": ()}
            for name, shape in expected.items():
                if np.shape(getattr(head, name)) != shape or dim < 1:
                    raise ValueError(f"{name} should have shape {shape}")
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            raise HeadError(f"{where} is no head: {error}") from error
        return head


def fit_number(
    vectors: FloatArray,
    answers: npt.NDArray[Any],
    owner: IntArray,
    *,
    log: bool,
    confidence: float,
    seed: int,
) -> tuple[FittedHead, dict[str, float]]:
    """Fit ridge regression; see `plethprint.head`.

    Parameters
    ----------
    vectors
        (N, D) of unit length.
    answers
        (N,) numbers.
    owner
        (N,) whose row it is, 0..P-1.

    Returns
    -------
    FittedHead, dict
        And the mean absolute error over held-out people with what the mean would have.
    """
    truth = answers.astype(np.float64)
    if not np.isfinite(truth).all() or (log and (truth <= 0.0).any()):
        raise HeadError(f"labels must be finite{' and positive' if log else ''} numbers")
    target = np.log(truth) if log else truth
    folds = people_folds(
        owner, np.digitize(target, np.quantile(target, [0.33, 0.67])), seed
    )
    _check_people(owner, confidence)
    even = person_weights(owner)
    said = np.full((len(RIDGE_PENALTIES), len(target)), np.nan)
    models: list[tuple[FloatArray, FloatArray]] = []
    null = np.empty(len(target))
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        weights, bias = ridge(vectors[~held], target[~held], even[~held])
        models.append((weights, bias))
        said[:, held] = weights @ vectors[held].T + bias[:, None]
        null[held] = np.average(target[~held], weights=even[~held])
    error = np.abs(said - target)
    best = int(np.argmin(error @ even))
    weights, bias = ridge(vectors, target, even)
    share, knots = [], []
    people = int(owner.max()) + 1
    for fold in range(len(models)):
        held = folds == fold
        share.append(len(np.unique(owner[held])) / (people + 1))
        knots.append(_knots(error[best, held], person_weights(owner[held])))
    fitted = FittedHead(
        weights=_rounded(weights[best : best + 1]),
        bias=_rounded(bias[best : best + 1]),
        **_neighbourhood(vectors, owner, folds),
        log=log,
        fold_weights=_rounded(np.stack([m[0][best] for m in models])),
        fold_bias=_rounded(np.array([m[1][best] for m in models])),
        fold_share=_rounded(np.array(share)),
        residuals=_rounded(np.stack(knots)),
    )
    guess = [np.exp(g) if log else g for g in (said[best], null)]
    figures = {
        name: float(np.abs(g - truth) @ even)
        for name, g in zip(("mae", "mae_of_mean"), guess, strict=True)
    }
    return fitted, {**figures, "penalty": RIDGE_PENALTIES[best]}


def fit_classes(
    vectors: FloatArray,
    index: IntArray,
    owner: IntArray,
    names: tuple[str, ...],
    *,
    confidence: float,
    seed: int,
) -> tuple[FittedHead, dict[str, float]]:
    """Fit one logistic regression a class; see `plethprint.head`.

    Parameters
    ----------
    vectors
        (N, D) of unit length.
    index
        (N,) place of the row's class in `names`.
    owner
        (N,) whose row it is, 0..P-1.
    """
    if len(names) < 2:
        raise HeadError(f"classes must be two or more; the labels have {names}")
    for place, name in enumerate(names):
        if len(np.unique(owner[index == place])) < 2:
            raise HeadError(f"class {name!r} is in fewer than two people")
    folds = people_folds(owner, index, seed)
    _check_people(owner, confidence)
    even = person_weights(owner)
    truth = (index[:, None] == np.arange(len(names))).astype(np.float64)
    scores = np.empty((len(LOGISTIC_PENALTIES), len(index), len(names)))
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        for place, penalty in enumerate(LOGISTIC_PENALTIES):
            weights, bias = _one_against_rest(
                vectors[~held], truth[~held], even[~held], penalty
            )
            scores[place, held] = vectors[held] @ weights.T + bias
    losses, curves = [], []
    for score in scores:
        platt = _rounded(
            np.array([_platt(score[:, k], truth[:, k], even) for k in range(len(names))])
        )
        said = platt_probabilities(score, platt)
        right = np.maximum((said * truth).sum(axis=1), 1e-12)
        losses.append(float(-np.log(right) @ even))
        curves.append((platt, said, right))
    best = int(np.argmin(losses))
    platt, said, right = curves[best]
    weights, bias = _one_against_rest(vectors, truth, even, LOGISTIC_PENALTIES[best])
    people = int(owner.max()) + 1
    order = np.argsort(right)[::-1]
    mass = np.cumsum(even[order]) * people / (people + 1)
    at = min(int((mass < confidence - 1e-9).sum()), len(order) - 1)
    fitted = FittedHead(
        weights=_rounded(weights),
        bias=_rounded(bias),
        **_neighbourhood(vectors, owner, folds),
        platt=platt,
        threshold=float(_rounded(np.array(right[order[at]] * (1 - 1e-9)))),
    )
    hit = said.argmax(axis=1) == index
    figures = {
        "log_loss": losses[best],
        "accuracy": float(hit @ even),
        "share_of_largest_class": float((truth * even[:, None]).sum(axis=0).max()),
        "penalty": LOGISTIC_PENALTIES[best],
    }
    return fitted, figures


def _applied(weights: FloatArray, vectors: FloatArray) -> FloatArray:
    """(C, D) on (N, D) -> (N, C); a row gives the same bits whatever its neighbours are."""
    # A matrix product sums in another order for one row than for many.
    product: FloatArray = (vectors[:, None, :] * weights).sum(axis=2)
    return product


def person_weights(owner: IntArray) -> FloatArray:
    """Weight of each row so that people count alike and all sum to one, (N,)."""
    people, inverse, counts = np.unique(owner, return_inverse=True, return_counts=True)
    weights: FloatArray = 1.0 / (counts[inverse] * len(people))
    return weights


def people_folds(owner: IntArray, kind: IntArray, seed: int) -> IntArray:
    """A fold for each row, (N,), that no person crosses and that shares out the kinds."""
    people = int(owner.max()) + 1
    counts = np.zeros((people, int(kind.max()) + 1))
    np.add.at(counts, (owner, kind), 1.0)
    counts /= np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    counts /= np.maximum(counts.sum(axis=0), 1e-12)  # rare kinds weigh as much
    count = min(FOLDS, people)
    rng = np.random.default_rng(seed)
    order = rng.permutation(people)
    order = order[np.argsort(-counts[order].max(axis=1), kind="stable")]
    load, sizes = np.zeros((count, counts.shape[1])), np.zeros(count)
    home = np.empty(people, np.intp)
    for person in order:
        cost = ((load + counts[person]) ** 2 - load**2).sum(axis=1)
        fits = sizes < np.ceil(people / count)
        home[person] = int(np.argmin(np.where(fits, cost, np.inf)))
        load[home[person]] += counts[person]
        sizes[home[person]] += 1
    _, folds = np.unique(home[owner], return_inverse=True)
    return folds.astype(np.intp)


def ridge(
    vectors: FloatArray, target: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weights (penalties, D) and bias (penalties,) of ridge regression, every penalty."""
    share = weight / weight.sum()
    centre, spread = _standard(vectors, share)
    x = (vectors - centre) / spread
    mean = float(share @ target)
    values, basis = np.linalg.eigh((x * share[:, None]).T @ x)
    seen = basis.T @ ((x * share[:, None]).T @ (target - mean))
    scaled = seen / (np.maximum(values, 0.0) + np.array(RIDGE_PENALTIES)[:, None])
    weights = (scaled @ basis.T) / spread
    return weights, mean - weights @ centre


def platt_probabilities(scores: FloatArray, platt: FloatArray) -> FloatArray:
    """Scores (N, C) as probabilities (N, C) that sum to one."""
    logits = np.clip(scores * platt[:, 0] + platt[:, 1], -30.0, 30.0)
    each = 1.0 / (1.0 + np.exp(-logits))
    probabilities: FloatArray = each / each.sum(axis=1, keepdims=True)
    return probabilities


def _standard(vectors: FloatArray, share: FloatArray) -> tuple[FloatArray, FloatArray]:
    centre = share @ vectors
    spread = np.sqrt(share @ (vectors - centre) ** 2)
    # A number that never varies is not to be blown up by one that does later.
    return centre, np.maximum(spread, 1e-3 * max(float(spread.max()), 1e-12))


def _one_against_rest(
    vectors: FloatArray, truth: FloatArray, weight: FloatArray, penalty: float
) -> tuple[FloatArray, FloatArray]:
    """Logistic regression of each class by Newton's method: weights (C, D), bias (C,)."""
    share = weight / weight.sum()
    centre, spread = _standard(vectors, share)
    x = np.concatenate([(vectors - centre) / spread, np.ones((len(vectors), 1))], axis=1)
    lift = np.full(x.shape[1], penalty)
    lift[-1] = 1e-9  # the constant is free, but for a class that is never or always there
    found = np.stack([_newton(x, column, share, lift) for column in truth.T])
    weights = found[:, :-1] / spread
    return weights, found[:, -1] - weights @ centre


def _newton(
    x: FloatArray, truth: FloatArray, share: FloatArray, lift: FloatArray
) -> FloatArray:
    """Least penalised logistic loss: Newton's steps, halved while they do not help."""

    def loss(at: FloatArray) -> float:
        score = x @ at
        each = np.logaddexp(0.0, score) - truth * score
        return float(share @ each + 0.5 * lift @ at**2)

    found = np.zeros(x.shape[1])
    now = loss(found)
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ found, -30.0, 30.0)))
        slope = x.T @ (share * (p - truth)) + lift * found
        bend = (x * (share * p * (1.0 - p))[:, None]).T @ x + np.diag(lift)
        step = np.linalg.solve(bend + 1e-12 * np.eye(len(bend)), slope)
        size = 1.0
        while size > 1e-4 and loss(found - size * step) > now:
            size /= 2
        found = found - size * step
        before, now = now, loss(found)
        if before - now < 1e-10:
            break
    return found


def _platt(score: FloatArray, truth: FloatArray, weight: FloatArray) -> FloatArray:
    """Slope and offset of a logistic curve over scores; Platt's softened targets."""
    ups, n = float(truth @ weight) * len(truth), len(truth)
    soft = np.where(truth > 0, (ups + 1) / (ups + 2), 1 / (n - ups + 2))
    x = np.stack([score, np.ones(n)], axis=1)
    return _newton(x, soft, weight / weight.sum(), np.full(2, 1e-6))


def _neighbourhood(vectors: FloatArray, owner: IntArray, folds: IntArray) -> dict[str, Any]:
    """Where the fingerprints lie, and how far from there held-out people's are."""
    away = np.empty(len(vectors))
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        centre, whitening = _whitening(vectors[~held], person_weights(owner[~held]))
        white = (vectors[held] - centre) @ whitening.T
        away[held] = np.sqrt(np.mean(white * white, axis=1))
    centre, whitening = _whitening(vectors, person_weights(owner))
    order = np.argsort(away)
    mass = np.cumsum(person_weights(owner)[order])
    at = min(int((mass < _FAR_SHARE - 1e-9).sum()), len(order) - 1)
    return {
        "centre": _rounded(centre),
        "whitening": _rounded(whitening),
        "far_from": float(_rounded(away[order[at : at + 1]])[0]),
    }


def _whitening(vectors: FloatArray, share: FloatArray) -> tuple[FloatArray, FloatArray]:
    centre = share @ vectors
    x = vectors - centre
    spread = (x * share[:, None]).T @ x
    mean = float(np.trace(spread)) / len(spread)
    # Drawn a little towards a ball: few people do not fill every direction.
    spread = 0.95 * spread + (0.05 * mean + 1e-9) * np.eye(len(spread))
    lower: FloatArray = np.linalg.inv(np.linalg.cholesky(spread))
    return centre, lower


def _knots(errors: FloatArray, weight: FloatArray) -> FloatArray:
    """`_KNOTS` values of equal weight that stand for weighted errors, none too small."""
    order = np.argsort(errors)
    mass = np.cumsum(weight[order])
    levels = np.arange(1, _KNOTS + 1) / _KNOTS
    at = np.minimum(np.searchsorted(mass, levels - 1e-9), len(order) - 1)
    knots: FloatArray = errors[order][at]
    return knots


def _check_people(owner: IntArray, confidence: float) -> None:
    people = int(owner.max()) + 1
    needed = int(np.ceil(confidence / (1.0 - confidence) - 1e-9))
    if people < needed:
        raise HeadError(
            f"a confidence of {confidence:g} needs {needed} people or more, not {people}; "
            "ask for less"
        )


def _rounded(values: FloatArray) -> FloatArray:
    """To seven digits, so that a head that was saved is the one that was fitted."""
    flat = [float(f"{value:.{_DIGITS}g}") for value in np.ravel(values).tolist()]
    return np.array(flat).reshape(np.shape(values))
