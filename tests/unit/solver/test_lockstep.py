"""Descents in lockstep are those of the batched solver, whoever else is under way."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foldwise.errors import SearchError
from foldwise.search.engines.gpu import DeviceBackend, found, missing_bytes, opened
from foldwise.solver.curvature import MOST_FEATURES, Curvature
from foldwise.solver.fits import FitRequest, SolverOptions, solve
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Fit, LinearModel, Multiclass, probabilities
from foldwise.solver.lockstep import Objective, Rows, training_sets
from foldwise.solver.paths import RegularisationPath, Stretch, Traced, anchors, trace
from tests.unit.solver.numpy_device import NumpyDevice, device_at_hand
from tests.unit.solver.solver_cases import Case, digits, sparse_noise, two_digits

LOW, HIGH = 0.003, 0.3
EVERY = anchors(LOW, HIGH)
REACH = len(EVERY)
FEW = [frozenset[int](), frozenset({1}), frozenset({0, 2})]
C = 0.03


class Small(NumpyDevice):
    """A device that is nearly full."""

    name = "a small device"
    room = 1000


def backend(layout: Layout, options: SolverOptions) -> DeviceBackend:
    return DeviceBackend(layout, options, device_at_hand())


def traced(
    by: Iterator[Traced | RegularisationPath],
) -> dict[frozenset[int], RegularisationPath]:
    return {each.left_out: each for each in by if isinstance(each, RegularisationPath)}


def stretches(sets: Sequence[frozenset[int]], reach: int = REACH) -> list[Stretch]:
    return [Stretch(RegularisationPath(each, EVERY), reach) for each in sets]


def bits(path: RegularisationPath, count: int) -> bytes:
    return np.stack(path.solutions[:count]).tobytes()


def table(*, weighted: bool = False, mean: float = 100) -> Layout:
    """Numbers of any mean and scale, some missing, one no number; classes of unequal weight."""
    generator = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2], [30, 60, 90])
    X = generator.normal(size=(180, 6)) + 0.7 * labels[:, np.newaxis]
    X = mean + X * np.geomspace(0.1, 30, 6)
    X[:, 5] = labels == 1
    X[generator.random(180) < 0.2, 2] = np.nan
    parts = [np.arange(part, 180, 3) for part in range(3)]
    return Layout.of_table(
        X, labels, parts, classes=3,
        is_scaled=np.arange(6) < 5,
        weights=generator.uniform(0.5, 2, 180) if weighted else None,
        class_weight="balanced" if weighted else None,
    )  # fmt: skip


THREE = [replace(case, folds=3) for case in (digits(200), sparse_noise(), two_digits())]
LAYOUTS = {
    "bytes": (THREE[0].layout(), SolverOptions()),
    "one against the rest": (THREE[1].layout(), SolverOptions(multiclass="ovr")),
    "two classes": (THREE[2].layout(), SolverOptions(scale_floor=0.16)),
    "floats with gaps": (table(), SolverOptions(double=True)),
    "weights": (table(weighted=True), SolverOptions(double=True)),
    "single precision": (table(mean=0), SolverOptions()),
}
ROUGHLY = (LAYOUTS["bytes"][0], SolverOptions(tol=1e-3))


@pytest.fixture(params=LAYOUTS)
def given(request: pytest.FixtureRequest) -> tuple[Layout, SolverOptions]:
    return LAYOUTS[request.param]


def test_paths_and_fits_are_the_batched_solvers(given: tuple[Layout, SolverOptions]) -> None:
    """As many evaluations, the same objective, and coefficients within what the rule leaves."""
    layout, options = given
    device = backend(layout, options)
    mine = traced(device.trace(stretches(FEW, 4)))
    theirs = traced(trace(layout, stretches(FEW, 4), options))
    requests = [FitRequest(each, LOW, theirs[each].at(LOW)) for each in FEW]
    made = {fit.left_out: fit for fit in device.solve(requests)}
    for fit in solve(layout, requests, options):
        own = made[fit.left_out]
        assert (own.outcome.status, own.outcome.iterations) == ("converged", fit.outcome.iterations)
        assert own.outcome.objective == pytest.approx(fit.outcome.objective, rel=1e-5)
        difference = np.abs(own.model.coefficients - fit.model.coefficients).max()
        assert difference < 1e-3
        assert own.device == device_at_hand().name
    for each in FEW:
        assert mine[each].evaluations == pytest.approx(theirs[each].evaluations, abs=3)
        for one, other in zip(mine[each].solutions, theirs[each].solutions, strict=True):
            np.testing.assert_allclose(one, other, atol=0.02)


def alike(layout: Layout, options: SolverOptions) -> None:
    """Paths of all sets take as many evaluations on a device as on cores, and lead to the same."""
    sets = training_sets(layout.parts)
    mine = traced(backend(layout, options).trace(stretches(sets, 3)))
    theirs = traced(trace(layout, stretches(sets, 3), options))
    for each in sets:
        assert mine[each].evaluations == pytest.approx(theirs[each].evaluations, abs=3)
        np.testing.assert_allclose(mine[each].solutions, theirs[each].solutions, atol=0.02)


def test_the_hessian_at_zero_may_be_known_for_some_sets_alone() -> None:
    """Without two of three parts too few rows are left for it to pay."""
    layout = replace(digits(100), folds=3).layout()
    known = Objective(device_at_hand(), layout, SolverOptions()).bends
    assert known.any()
    assert not known.all()
    alike(layout, SolverOptions())


@pytest.mark.parametrize("factor", [-1.0, 1e30])
def test_what_leads_nowhere_is_forgotten_as_on_cores(
    factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An inverse Hessian that points uphill, and one along which no step is short enough."""
    layout, options = THREE[0].layout(), SolverOptions(double=True)
    monkeypatch.setattr(Objective, "bend", lambda _, vectors, *__: factor * vectors)
    monkeypatch.setattr(Curvature, "at", lambda *_, **__: lambda vectors: factor * vectors)
    alike(layout, options)


def test_fits_may_follow_others_and_begin_at_zero() -> None:
    """Those that aren't under way, with their pairs, are no trouble: nothing of theirs is zero."""
    layout, options = LAYOUTS["bytes"]
    device = backend(layout, options)
    for sets, strengths in ((FEW, [C]), (FEW[:1], [C, 10 * C]), (FEW, [10 * C])):
        requests = [FitRequest(each, strength) for each in sets for strength in strengths]
        made = {(fit.left_out, fit.model.C): fit.outcome for fit in device.solve(requests)}
        assert all(outcome.status == "converged" for outcome in made.values())
        for fit in solve(layout, requests, options):
            assert made[fit.left_out, fit.model.C].iterations == fit.outcome.iterations


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_what_is_left_out_moves_no_bit_of_a_path_or_fit(multiclass: Multiclass) -> None:
    """Other labels and images in a part, with pixels lit that were dark."""
    case, options = THREE[1], SolverOptions(multiclass=multiclass, scale_floor=0.1)
    images, labels, out = case.images.copy(), case.labels.copy(), case.parts[1]
    images[out] = np.random.default_rng(3).integers(0, 256, (len(out), images.shape[1]))
    labels[out] = (labels[out] + 1) % case.classes
    told = []
    for each in (case, replace(case, images=images, labels=labels)):
        device = backend(each.layout(), options)
        [path] = traced(device.trace(stretches([frozenset({1})], 4))).values()
        [fit] = device.solve([FitRequest(frozenset({1}), C)])
        told.append((bits(path, 4), fit.model.coefficients.tobytes()))
    assert told[0] == told[1]


def test_rows_that_are_on_the_device_already_need_no_others() -> None:
    """A layout of moments and products alone, as of copies that were made there."""
    layout, options = LAYOUTS["bytes"]
    sets = training_sets(layout.parts)
    whole = traced(backend(layout, options).trace(stretches(sets, 3)))
    bare = replace(layout, lanes=((),) * layout.parts, columns=((),) * layout.parts)  # type: ignore[arg-type]
    bare.squares.update(layout.squares)
    rows = Rows.of(device_at_hand(), layout, np.float32)
    mine = DeviceBackend(bare, options, device_at_hand(), rows)
    for each, path in traced(mine.trace(stretches(sets, 3))).items():
        assert bits(path, 3) == bits(whole[each], 3)


def test_memory_is_asked_for_what_will_be_there_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eigenvectors of many columns are many bytes, and aren't made."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (30, MOST_FEATURES + 1)).astype(np.uint8)
    layout = replace(THREE[0], images=images, labels=np.arange(30) % 3).layout()
    asked = missing_bytes(layout, SolverOptions(), device_at_hand())
    monkeypatch.setattr("foldwise.search.engines.gpu.pays", lambda *_: True)
    more = missing_bytes(layout, SolverOptions(), device_at_hand()) - asked
    assert more == len(training_sets(layout.parts)) * layout.width**2 * 4


@pytest.mark.parametrize("case", THREE, ids=lambda case: case.name)
def test_a_converged_fits_gradient_is_below_the_tolerance(case: Case) -> None:
    """From the definition, in double: half precision is what the products hold, not the result."""
    options = SolverOptions()
    [fit] = backend(case.layout(), options).solve([FitRequest(frozenset({0}), C)])
    rows = case.training_rows(frozenset({0}))
    x = (case.images[rows] - fit.model.mean) / fit.model.scale
    residuals = probabilities(fit.model, case.images[rows])
    residuals[np.arange(len(rows)), case.labels[rows]] -= 1
    residuals = residuals if case.classes > 2 else residuals[:, 1:]
    slopes = residuals.T @ x / len(rows) + fit.model.coefficients / (C * len(rows))
    assert max(np.abs(slopes).max(), np.abs(residuals.mean(axis=0)).max()) < 1.05 * options.tol


def test_a_path_is_the_same_to_the_bit_whoever_else_is_traced_and_in_whatever_stretches() -> None:
    layout, options = ROUGHLY
    sets = training_sets(layout.parts)
    together = traced(backend(layout, options).trace(stretches(sets)))
    device = backend(layout, options)
    [first] = traced(device.trace(stretches([frozenset({2})], 4))).values()
    list(device.trace(stretches([frozenset({0, 1})], 5)))
    [whole] = traced(device.trace([Stretch(first, REACH)])).values()
    assert bits(first, 4) == bits(together[frozenset({2})], 4)
    assert bits(whole, REACH) == bits(together[frozenset({2})], REACH)
    assert whole.evaluations == together[frozenset({2})].evaluations


def test_a_path_from_elsewhere_is_traced_anew_to_the_same_bits() -> None:
    """What a shelf or another worker has comes without curvature."""
    layout, options = ROUGHLY
    device = backend(layout, options)
    [path] = traced(device.trace(stretches([frozenset()], 4))).values()
    [on] = traced(device.trace([Stretch(path, REACH)])).values()
    *shown, anew = device.trace([Stretch(replace(path), REACH)])
    assert isinstance(anew, RegularisationPath)
    assert bits(anew, REACH) == bits(on, REACH)
    assert shown[-1] == Traced(REACH, REACH)


def test_a_trace_that_was_given_up_half_way_changes_nothing() -> None:
    layout, options = ROUGHLY
    device = backend(layout, options)
    tracing = device.trace(stretches([frozenset()]))
    next(tracing)
    tracing.close()  # type: ignore[attr-defined]  # it is a generator
    [path] = traced(device.trace(stretches([frozenset()]))).values()
    [whole] = traced(backend(layout, options).trace(stretches([frozenset()]))).values()
    assert bits(path, REACH) == bits(whole, REACH)


def test_fits_are_the_same_to_the_bit_in_any_company() -> None:
    """More of one training set than there are stages, too."""
    layout, options = LAYOUTS["two classes"]
    wanted = [FitRequest(frozenset({1}), value) for value in np.geomspace(0.01, 0.1, 18).tolist()]
    wanted += [FitRequest(each, C) for each in FEW]
    together = made(backend(layout, options).solve(wanted))
    assert together.keys() == {(each.left_out, each.C) for each in wanted}
    device = backend(layout, options)
    for request in (*wanted[-1:], *wanted[:2]):
        [alone] = made(device.solve([request])).values()
        other = together[request.left_out, request.C]
        assert alone.coefficients.tobytes() == other.coefficients.tobytes()


def made(fits: Iterator[Fit]) -> dict[tuple[frozenset[int], float], LinearModel]:
    return {(fit.left_out, fit.model.C): fit.model for fit in fits}


@pytest.mark.parametrize(
    ("limits", "status"),
    [({"max_iter": 3}, "exhausted"), ({"tol": 1e-12}, "stalled")],
    ids=["exhausted", "stalled"],
)
def test_a_fit_ends_as_the_batched_solvers_does(limits: dict[str, float], status: str) -> None:
    """At its last iteration, or at the limit of the precision."""
    layout, options = LAYOUTS["two classes"]
    options = replace(options, **limits)  # type: ignore[arg-type]  # each has its own type
    request = FitRequest(frozenset({0}), C)
    [mine] = backend(layout, options).solve([request])
    [theirs] = solve(layout, [request], options)
    assert mine.outcome.status == theirs.outcome.status == status
    assert mine.outcome.objective == pytest.approx(theirs.outcome.objective, rel=1e-5)


def test_one_descent_of_many_that_is_exhausted_makes_its_fit_so() -> None:
    layout, options = LAYOUTS["one against the rest"]
    request = FitRequest(frozenset({0}), C)
    [fit] = solve(layout, [request], options)
    options = replace(options, max_iter=fit.outcome.iterations - 1)
    [mine] = backend(layout, options).solve([request])
    assert (mine.outcome.status, mine.outcome.iterations) == ("exhausted", options.max_iter)


def test_rows_in_several_chunks_give_the_same_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filled up with zeros in each."""
    layout, options = LAYOUTS["bytes"]
    request = FitRequest(frozenset({0}), C)
    [one] = backend(layout, options).solve([request])
    monkeypatch.setattr("foldwise.solver.lockstep.CHUNK", 8)
    assert Rows.shape(layout)[0] > 1
    [several] = backend(layout, options).solve([request])
    np.testing.assert_allclose(several.model.coefficients, one.model.coefficients, atol=1e-4)


def test_nothing_is_traced_or_fitted_where_nothing_is_asked() -> None:
    device = backend(*LAYOUTS["two classes"])
    assert not [*device.trace([]), *device.solve([])]


def test_too_many_rows_for_the_device_are_refused_in_one_line() -> None:
    layout, options = LAYOUTS["bytes"]
    with pytest.raises(SearchError, match=r"memory of a small device, 0\.\d GB are missing of"):
        DeviceBackend(layout, options, Small())


class Failing(NumpyDevice):
    """A device whose products fail once it is prepared."""

    is_broken = False

    def product(self, left: Any, right: Any) -> Any:
        if self.is_broken:
            raise RuntimeError("CUDA error: unspecified launch failure\nFor debugging see ...")
        return super().product(left, right)


def test_a_device_that_fails_ends_the_search_in_one_line() -> None:
    layout, options = LAYOUTS["two classes"]
    broken = Failing()
    device = DeviceBackend(layout, options, broken)
    broken.is_broken = True
    says = r"^numpy must go on .* CUDA error: unspecified launch failure: run"
    with pytest.raises(SearchError, match=says):
        list(device.trace(stretches([frozenset()])))
    with pytest.raises(SearchError, match=says):
        list(device.solve([FitRequest(frozenset(), C)]))


class Driver:
    """As torch.cuda is where the driver and the card disagree."""

    def is_available(self) -> bool:
        return True

    def get_device_name(self) -> str:
        raise RuntimeError("CUDA driver error: initialization error\nCompile with ...")


def test_a_driver_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foldwise.search.engines.gpu.torch", SimpleNamespace(cuda=Driver()))
    with pytest.raises(SearchError, match=r"^the GPU must go on .* initialization error: run"):
        found("auto")


def test_auto_takes_the_cores_where_the_device_is_too_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("foldwise.search.engines.gpu.found", lambda _: Small())
    layout, options = LAYOUTS["bytes"]
    assert opened(layout, options, "auto") is None
    with pytest.raises(SearchError, match="are missing"):
        opened(layout, options, "cuda")


def test_a_gpu_that_is_asked_for_and_missing_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And nothing where it is only asked whether there is one."""
    monkeypatch.setattr("foldwise.search.engines.gpu.torch", None)
    with pytest.raises(SearchError, match=r"^FOLDWISE_DEVICE=cuda needs .*pip install .*\[gpu\]"):
        found("cuda")
    assert found("auto") is None
    assert found("cpu") is None


def test_arrays_go_to_the_device_as_they_are(given: tuple[Layout, SolverOptions]) -> None:
    """Each real row once, with its label, whatever it was filled up to."""
    layout, _ = given
    rows = Rows.of(NumpyDevice(), layout, np.float64)
    labels = rows.labels
    expected = [block.labels for part in layout.lanes for lane in part for block in lane]
    assert sorted(labels[labels >= 0]) == sorted(np.concatenate(expected))
    assert not rows.pixels[labels < 0].any()
    assert not rows.counts[labels < 0].any()
