"""``foldwise show``: the result in one screen, and how it stands with the model just now."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from textwrap import fill
from types import MappingProxyType
from typing import Any

from foldwise.app.commands import Project, columns, open_project
from foldwise.app.exits import import_slim_mlflow, tell
from foldwise.errors import SearchError, StoreError
from foldwise.files import DocumentError, decode, read_bytes
from foldwise.registry.audit import CHALLENGER, CHAMPION, PREVIOUS
from foldwise.registry.snapshot import Snapshot, model_name, repeats
from foldwise.report.reference import REFERENCES, Reference, read_reference
from foldwise.report.wording import brief, counted, digits_told, known, number
from foldwise.settings import Settings, flattened, load_settings
from foldwise.stats.scores import METRICS, is_loss, metric_label
from foldwise.store.address import project_root
from foldwise.store.faults import StoreRefused, store_faults
from foldwise.store.open import Store, open_store

Json = Mapping[str, Any]

_WIDTH = 80
_TIE = 1e-6
"""Scores are kept in six decimals: less is no difference."""
_RESULT = ("tuning.json", "evaluation.json")
_WHERE = {
    "reports/report.html": "the page to read",
    "foldwise ui": "folds, trials and versions in the browser",
    "foldwise history": "versions and decisions",
}


def show(*, model: str | None = None) -> None:
    """Print the result that lies in reports/, its parameters, the model's status, what is next.

    Of a model of other data than this folder's, the result that its newest version's run keeps.
    """
    import_slim_mlflow()
    root = project_root()
    settings = load_settings(root / "params.yaml")
    if is_own := model in (None, model_name(settings.prepare.name)):
        data, *told = (_read(root / "reports" / name) for name in ("data.json", *_RESULT))
        parameters: Json = flattened(settings)
    else:
        data, parameters, *told = _recorded(open_project(model, settles=False, writes=False))
    blamed = () if is_own else (str(data["told by"]), _anew(data))
    with _telling(*blamed):
        tuning, evaluation = told
        name, digest = str(data["name"]), str(data["holdout_digest"])
        reference = read_reference(name, data["classes"], root / REFERENCES)
        table = f"{fill(_data(data), _WIDTH)}\n\n{result_table(tuning, evaluation, reference)}\n"
        fits, error = tuning["fits"], tuning.get("log10_error")
        facts = {
            **guessing(data),
            **({f"best {next(iter(tuning['range']))}": known(error)} if error else {}),
            "parameters": parameters_told(parameters),
            "fits": f"{fits['distinct']:,} distinct ones, {fits['converged']:,} converged",
        }
    store = open_store(root, creates=False, writes=False)
    registry = Snapshot.read(store, model_name(name))
    if is_own:
        with _telling():
            facts |= outdone(store, data, tuning)
    stands = status(registry, failing(root))
    facts |= {"holdout": looks_told(registry, digest), **stands}
    if is_own:
        facts |= {**_WHERE, **to_do(registry)}
    else:
        facts |= {
            "next": f"{_there(data)} {stands['next']}",
            "foldwise history": f"--model {registry.name}: versions and decisions",
            "foldwise predict": f"FILE --output OUT --model {registry.name}: what it says of images"
            " or rows",
        }
    tell(table)
    tell(columns(None, facts.items(), width=_WIDTH))


@contextmanager
def _telling(
    what: str = "reports/data.json, tuning.json and evaluation.json",
    remedy: str = "run `dvc repro`",
) -> Iterator[None]:
    """Say in one line that reports are lost, or were edited or merged to something else."""
    try:
        yield
    except (DocumentError, OSError, StoreRefused) as error:
        raise SearchError(f"{what} must tell a result, reading gave {error}: {remedy}") from error
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise SearchError(
            f"{what} must tell a result, reading gave {error!r:.100}: {remedy}"
        ) from error


def _recorded(project: Project) -> Iterator[Json]:
    """What the newest version's run keeps: of its data, its parameters, and the two reports."""
    registry, store = project.registry(), project.store
    if not registry.versions:
        raise StoreError(
            f"no version of {registry.name} is registered: register one with {registry.register}"
            " where its data are prepared"
        )
    version = registry.versions[-1]
    whose = f"the run of version {version.number} of {version.name}"
    with TemporaryDirectory(prefix="foldwise-") as folder, store_faults(f"reading {whose}"):
        run = store.client.get_run(version.run_id).data
        own = {name: of for name, of in run.params.items() if not name.startswith("data.")}
        shape = {name.removeprefix("data."): of for name, of in run.params.items()}
        whole = {name: int(of) for name, of in shape.items() if of.isdecimal()}
        with _telling(whose, _anew(run.tags)):
            own_rows = whole["development_rows"] // (1 + int(own.get("prepare.augment", 0)))
            shape |= {"name": own["prepare.name"], "told by": whose}
        yield {**run.tags, "development_originals": own_rows, **shape, **whole}
        yield own
        for name in _RESULT:
            with _telling(f"{name} of {whose}", _anew(run.tags)):
                with store_faults("fetching it"):
                    path = store.artifact(version.run_id, name, folder)
                document: Json = decode(dict[str, Any], read_bytes(path))
            yield document


def _there(data: Json) -> str:
    """Where commands are about a model of other data, which alone it can be judged on."""
    experiment = data.get("dvc.experiment")
    return f"`dvc exp apply {experiment}`, then" if experiment else "where its data are prepared,"


def _anew(data: Json) -> str:
    return f"{_there(data)} `dvc repro -f`"


def to_do(registry: Snapshot) -> dict[str, str]:
    """What there is to do with versions, as far as there are any."""
    champion, before = registry.champion, registry.holder(PREVIOUS)
    back = f"to version {before.number}" if before else "once a second version was promoted"
    if champion is None:
        return {"foldwise rollback": f"undoes a promotion, {back}"} if registry.versions else {}
    compare = {"foldwise compare": "champion challenger: did the change help, or is it luck?"}
    return {
        **(compare if registry.holder(CHALLENGER) not in (None, champion) else {}),
        "foldwise predict": "FILE --output OUT: what the champion says of images or rows",
        "foldwise rollback": f"--reason WHY: back, {back}",
    }


def guessing(data: Json) -> dict[str, str]:
    """Say which accuracy is had without a model."""
    start = "development_class_"
    rows = {name.removeprefix(start): of for name, of in data.items() if name.startswith(start)}
    common = max(rows, key=lambda name: int(rows[name]), default="")
    share = number(rows[common] / sum(rows.values())) if rows else ""
    told = f"always {brief(common)}, the commonest class, has accuracy {share}"
    return {"guessing": told} if rows else {}


def outdone(store: Store, data: Json, tuning: Json) -> dict[str, str]:
    """Name the recorded search of the same data that has the best outer score, if it is better."""
    metric = str(tuning["metric"])
    key, sign = f"metrics.outer_{metric}", -1 if is_loss(metric) else 1
    bound = tuning[f"outer_{metric}"] + sign * _TIE
    query = (
        f"tags.level = 'pipeline' AND tags.development_digest = '{data['development_digest']}'"
        f" AND {key} {'<' if sign < 0 else '>'} {bound:.7f}"
    )
    with store_faults("looking for better searches"):
        own = store.find_experiment(str(data["name"]))
        order = [f"{key} {'ASC' if sign < 0 else 'DESC'}"]
        found = store.client.search_runs([own], query, max_results=1, order_by=order) if own else []
    for run in found:
        name = run.data.tags.get("dvc.experiment") or run.info.run_name
        score = number(run.data.metrics[f"outer_{metric}"])
        told = f"{name} has outer {metric_label(metric)} {score}; is it luck? "
        return {"a better search": f"{told}`foldwise compare workspace {quote(name)}`"}
    return {}


def _read(path: Path) -> Json:
    with _telling(str(path)):
        document: Json = decode(dict[str, Any], read_bytes(path))
    return document


def _data(data: Json) -> str:
    unit = "image" if "image_shape" in data else "row"
    rows = data["development_rows"]
    own = data.get("development_originals", rows)
    copies = f" (with {rows - own:,} shifted copies)" if own < rows else ""
    development = f"{counted(own, f'development {unit}')}{copies}"
    held = counted(data["holdout_rows"], f"holdout {unit}")
    return f"{data['name']}: {development} and {held}, {data['classes']} classes"


def result_rows(
    tuning: Json, evaluation: Json, reference: Reference | None
) -> list[tuple[str, str, str, str]]:
    """Each metric on the outer folds, on the holdout and as published; then the chosen values."""
    outer = {each["metric"]: each for each in tuning["intervals"]}
    is_held_out = "scored" not in evaluation
    published = reference.scores if reference else {}
    rows = []
    for metric in METRICS:
        each, ends = outer.get(metric, {}), (metric, f"{metric}_low", f"{metric}_high")
        held = [evaluation[end] for end in ends if end in evaluation] if is_held_out else []
        rows.append(
            (
                metric_label(metric),
                _spanned(*(each[end] for end in ("mean", "low", "high") if end in each)),
                _spanned(*held, digits=digits_told(metric)),
                published.get(metric, "–"),
            )
        )
    for name in tuning["range"]:
        chosen = sorted(fold[name] for fold in tuning["folds"] if name in fold)
        spread = f"{chosen[0]:.3g} to {chosen[-1]:.3g}" if chosen else "–"
        final = f"{tuning[name]:.3g}" if name in tuning else "–"
        rows.append((name, spread, final, reference.C if reference and name == "C" else "–"))
    return rows


def _spanned(*figures: float, digits: int = 4) -> str:
    if not figures:
        return "–"
    value, low, high = (number(float(each), digits=digits) for each in figures)
    return f"{value} ({low} to {high})"


def result_table(tuning: Json, evaluation: Json, reference: Reference | None) -> str:
    """`result_rows` for the terminal, in 80 columns."""
    sure = f"{100 * tuning['intervals'][0]['confidence']:.4g} %"
    head = ("", f"outer folds ({sure} interval)", f"holdout ({sure} interval)", "reference")
    rows = [
        (name, f"range {told}" if name in tuning["range"] and told != "–" else told, *more)
        for name, told, *more in result_rows(tuning, evaluation, reference)
    ]
    rows = [row if reference else row[:3] for row in rows]
    table = columns(head if reference else head[:3], rows, width=_WIDTH)
    if reference is None:
        return table
    told = f"reference: published figures of these data ({reference.title}), to compare with"
    return f"{table}{fill(told, _WIDTH)}\n"


def parameters_told(given: Json) -> str:
    """The parameters that aren't the defaults, of those given by full key, as text or not."""
    usual = flattened(Settings())
    changed = {
        key: of
        for key, of in given.items()
        if key not in usual or of not in (usual[key], str(usual[key]))
    }
    told = ", ".join(f"{key} = {value}" for key, value in changed.items())
    return told or "all as foldwise has them by default"


def looks_told(registry: Snapshot, digest: str) -> str:
    """How often a holdout was looked at, and what that means."""
    models = {content for content, _ in registry.looks(digest)}
    return f"seen by {counted(len(models), 'model')}: with each, `promote` asks for more"


def failing(root: Path) -> dict[str, str]:
    """What the model that lies in models/ fails, by its content, as `evaluate` found it."""
    try:
        path = root / "models" / "evaluated" / "result.json"
        told = decode(dict[str, Any], read_bytes(path))
        content, gate = str(told["model_digest"]), told["standing"]["gate"]
        failed = [str(name) for name, _, _, verdict in gate if verdict == "fail"]
    except (OSError, DocumentError, ValueError, LookupError, TypeError):
        return {}
    few = f"fails {len(failed)} of {len(gate)} checks that need no champion: {', '.join(failed)}"
    return {content: few} if failed else {}


def status(registry: Snapshot, failing: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Which version is in use, since when, which one waits, what it fails, what to do next."""
    champion, challenger = registry.champion, registry.holder(CHALLENGER)
    moves = [each for each in registry.decisions if each.state == "applied"]
    told = f"no version is the {CHAMPION} yet"
    if champion is not None:
        told = f"version {champion.number} is the {CHAMPION}"
        if moves and moves[-1].version == champion.number:
            told += f", {moves[-1].decision} on {moves[-1].at[:10]} by {moves[-1].who}"
    if challenger is None:
        return {"status": f"{told}, nor registered", "next": f"{registry.register} registers one"}
    if challenger == champion:
        return {"status": told, "next": "`foldwise verify`: is it as it was evaluated?"}
    told += f", version {challenger.number} is the {CHALLENGER}"
    earlier = [each for each in registry.versions if each.number < challenger.number]
    same = repeats(challenger.content, earlier)
    words = (told, failing.get(challenger.content, ""), same and f"is {same}")
    return {
        "status": ", which ".join(filter(None, words)),
        "next": "`foldwise promote --dry-run`: may it be the champion?",
    }
