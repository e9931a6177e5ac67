"""What there is to read of a version: the page, one HTML file, and the model card in Markdown."""

import re
from collections.abc import Iterable
from functools import cache
from inspect import isfunction
from math import prod

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from foldwise.report import versus, wording
from foldwise.report.findings import Findings, edge_caution
from foldwise.report.picture import Picture
from foldwise.report.rivals import SearchComparison
from foldwise.search.space import Select
from foldwise.search.summary import contest, optimism
from foldwise.search.trials import SearchResult
from foldwise.stats.scores import METRICS, metric_label


def render(findings: Findings, pictures: Iterable[Picture]) -> str:
    """Write the page: nothing from the network, and no script but the one that sorts its tables.

    So it opens anywhere, also inside the sandboxed frame in which MLflow shows HTML artifacts.
    """
    page = _written("page.html.j2", findings, pictures=tuple(pictures))
    # Else a line may begin with it; pictures stand as they were drawn.
    return re.sub(r"(?s)(<svg.*?</svg>)| %", lambda found: found[1] or "\u00a0%", page)


def render_card(findings: Findings) -> str:
    """Write the model card: a version's description in Markdown, as MLflow's registry shows it.

    The first line is plain text, because the list of versions shows it raw; headings begin at the
    second level, because MLflow shows the first one huge.
    """
    return _written("card.md.j2", findings)


def render_search(search: SearchResult, pictures: Iterable[Picture], **told: object) -> str:
    """Write the page of a search from Python: no holdout, no project.

    What it is of, and its tables, are ``told`` by the names in ``search.html.j2``.
    """
    template = _environment().get_template("search.html.j2")
    caution = edge_caution(search, "param_distributions")
    return template.render(search=search, pictures=tuple(pictures), caution=caution, **told)


def render_versus(
    comparison: SearchComparison,
    pictures: Iterable[Picture],
    *,
    tells_rows: bool,
    next_step: str = "",
) -> str:
    """Write the page of a comparison of searches; ``tells_rows`` names rows by their numbers."""
    template = _environment().get_template("versus.html.j2")
    return template.render(
        comparison=comparison,
        headlines=[versus.headline(comparison, rival) for rival in comparison.rivals],
        meaning=versus.meaning(comparison),
        next_step=next_step,
        tables=versus.tables(comparison, tells_rows=tells_rows),
        pictures=tuple(pictures),
    )


def _written(name: str, findings: Findings, **more: object) -> str:
    parts = ("data", "search", "outer", "holdout", "reference")
    return (
        _environment()
        .get_template(name)
        .render(
            findings=findings,
            metrics=METRICS,
            limits=findings.limits(),
            contest=contest_rows(findings.search),
            escaped=wording.escaped,
            **{part: getattr(findings, part) for part in parts},
            **more,
        )
    )


def contest_rows(search: SearchResult, select: Select = "best") -> tuple[tuple[str, ...], ...]:
    """Each candidate in each study, those that lost too, a row each in words."""
    metric = search.metric
    return tuple(
        (
            wording.called(each.choice.study, search),
            each.kind,
            "won" if each.won else "lost",
            wording.number(each.choice.mean(metric)),
            wording.values_text(each.choice.values),
            str(len(each.trials)),
        )
        for each in contest(search, select)
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("foldwise", "report"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: of for name, of in vars(wording).items() if isfunction(of)}
    environment.filters |= {"metric_label": metric_label, "optimism": optimism, "product": prod}
    return environment
