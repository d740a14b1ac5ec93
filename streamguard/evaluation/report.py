"""An Evaluation as one HTML page for people: from disk, without scripts or anything from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, isnan
from pathlib import Path

from ..sinks.markup import Markup, element, foreign, plain
from ..sinks.report_page import POLICY
from ..sinks.report_style import STYLE
from ..sinks.sink import discard, part_path, put_in_place, sink_error
from .charts import course_chart, detection_chart, reliability_chart, roc_chart, thinned
from .conditions import HARMONISED, ROBUSTNESS
from .distortions import DISTORTIONS, LEVELS
from .evaluate import Condition, Evaluation, Mistake, Slice, Truth
from .measures import Estimate
from .traces import RAW, Trace, TraceSet, least_seconds
from .verdicts import Verdicts

MOST_COURSES = 120
"""Tracks of each label whose scores are drawn."""
FACES = (
    "FACES: this page holds pictures of people from your footage. It is for this machine only: do not publish it, and "
    "do not pass it on. Without pictures: --no-pictures."
)

Pictures = Mapping[tuple[str, int, int], str]
"""By footage, face and generation: a data URL."""


def write_report(
    path: Path, evaluation: Evaluation, traces: TraceSet, *, title: str, pictures: Pictures | None = None
) -> None:
    """An older page is replaced. SinkError if it cannot be written."""
    part = part_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page(evaluation, traces, title=title, pictures=pictures or {}), encoding="utf-8")
        put_in_place(part, path)
    except OSError as exc:
        discard(part, path)
        raise sink_error(str(path), exc) from exc


def page(evaluation: Evaluation, traces: TraceSet, *, title: str, pictures: Pictures) -> str:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("title", plain(title, 120)),
        element("style", Markup(STYLE + OWN_STYLE)),
    )
    shown = [one for one in evaluation.conditions if one.name in (RAW, HARMONISED)]
    body = element(
        "body",
        element(
            "main",
            _header(evaluation, title, faces=bool(pictures)),
            _summary(evaluation),
            _curves(shown),
            *(_verdicts(one, one.verdicts) for one in shown if one.verdicts is not None),
            _robustness(evaluation),
            _changes(evaluation),
            *(_parts(one) for one in shown),
            *(_mistakes(one, pictures) for one in shown if one.name == RAW),
            *(_courses(one.name, traces) for one in shown),
        ),
        _footer(evaluation),
    )
    return "<!DOCTYPE html>\n" + element("html", head, "\n", body, lang="en") + "\n"


# What it is about.


def _header(evaluation: Evaluation, title: str, *, faces: bool) -> Markup:
    warnings = [FACES] if faces else []
    others: list[str] = []
    for note in evaluation.notes:
        (warnings if note.split(maxsplit=1)[0].isupper() else others).append(note)
    who = ", ".join(evaluation.bundles)
    many = f" ({len(evaluation.bundle_sha256)} networks)" if len(evaluation.bundle_sha256) > 1 else ""
    said = [
        f"{who}{many}, {evaluation.graph} graph in {evaluation.precision}, {evaluation.seconds:g} s of each footage"
    ]
    if evaluation.calibration:
        said.append(f"Calibrated on {evaluation.calibration}")
    return element(
        "header",
        element("p", "StreamGuard evaluation", class_="over-title"),
        element("h1", foreign(title)),
        *(element("p", foreign(line, 2000), class_="about") for line in said),
        *(element("p", element("strong", "Warning: "), note, class_="warning", role="note") for note in warnings),
        element("ul", *(element("li", note) for note in others), class_="notes"),
    )


def _summary(evaluation: Evaluation) -> Markup:
    columns = ("Condition", "Tracks", "Groups", "Minutes", "AUC by track", "AUC by video", "Equal error",
               "TPR at FPR 5%", "TPR at FPR 1%", "Fake above its twin")  # fmt: skip
    rows = []
    shown = [one for one in evaluation.conditions if one.name not in ROBUSTNESS]
    for one in shown:
        ranking = one.tracks
        rows.append(
            (
                one.name,
                f"{one.real.tracks} real, {one.fake.tracks} fake",
                f"{one.real.groups}, {one.fake.groups}",
                f"{one.real.minutes:.1f}, {one.fake.minutes:.1f}",
                number(ranking.auc),
                number(one.videos.auc),
                number(ranking.equal_error_rate),
                number(ranking.tpr["0.05"]),
                number(ranking.tpr["0.01"]),
                "" if one.pairs is None else number(one.pairs.above),
            )
        )
    return _card(
        "What was measured",
        element(
            "p",
            "With 90% intervals over groups of people, drawn anew a thousand times. n/a: not defined without tracks of "
            "both labels. No interval: too few groups of one label.",
            class_="hint",
        ),
        _table(columns, rows),
        _left_out(shown),
    )


def _left_out(conditions: Iterable[Condition]) -> Markup:
    told = []
    for one in conditions:
        for label, found in (("real", one.real), ("fake", one.fake)):
            missing = found.videos - found.judged
            if missing or found.too_short:
                told.append(
                    f"{one.name}: {missing} of {found.videos} {label} videos hold no face that could be judged for "
                    f"long enough; {found.too_short} {label} faces were too short to count."
                )
    return element("ul", *(element("li", line) for line in told), class_="plain") if told else Markup("")


def number(found: Estimate) -> str:
    """With its 90% interval."""
    return _told(found, ".3f")


def percent(found: Estimate) -> str:
    return _told(found, ".1%")


def _told(found: Estimate, form: str) -> str:
    if isnan(found.value):
        return "n/a"
    if isnan(found.low90):
        return f"{found.value:{form}} (no interval)"
    return f"{found.value:{form}} {_between(found.low90, found.high90, form)}"


def _between(low: float, high: float, form: str) -> str:
    """On one line."""
    return f"[{low:{form}},\N{NO-BREAK SPACE}{high:{form}}]"


# Curves.


def _curves(shown: Sequence[Condition]) -> Markup:
    lines = [(one.name, one.roc) for one in shown if one.roc]
    drawn = [element("figure", roc_chart(lines), _key([name for name, _ in lines]))] if lines else []
    for one in shown:
        if one.moments is not None:
            drawn.append(
                element("figure", reliability_chart(one.moments.reliability), _truth(one.name, one.moments, one.mean_p))
            )
    if not drawn:
        return Markup("")
    return _card("Who ranks above whom, and what probabilities are worth", element("div", *drawn, class_="figures"))


def _truth(name: str, moments: Truth, mean_p: Truth | None) -> Markup:
    told = [
        f"{name}: p_fake of single moments, each track counting once",
        f"Brier skill {number(moments.brier_skill)}",
        f"calibration error {number(moments.calibration_error)}",
    ]
    if mean_p is not None:
        told.append(f"of whole tracks' scores: skill {number(mean_p.brier_skill)}, "
                    f"error {number(mean_p.calibration_error)}")  # fmt: skip
    return element("figcaption", *(element("span", line, class_="line-of") for line in told))


def _key(names: Sequence[str]) -> Markup:
    return element(
        "figcaption",
        *(element("span", element("i", class_=f"swatch l{i}"), name, class_="line-of") for i, name in enumerate(names)),
    )


def _verdicts(condition: Condition, found: Verdicts) -> Markup:
    rows = [
        ("Real tracks accused (LIKELY_FAKE at any time)",
         f"{percent(found.accused)}; {found.accused_tracks} of {found.accused.count}, at most "
         f"{found.accused_bound:.1%} with 95% confidence"),
        ("Accusations an hour of usable real footage", number(found.alarms_an_hour)),
        ("Real tracks without any verdict", percent(found.abstained)),
        *((f"Fakes told within {soon} s", percent(share)) for soon, share in found.told.within.items()),
        ("Fakes called real, never fake", percent(found.missed)),
        ("Fakes without any verdict", percent(found.undecided)),
        ("Right verdicts, of all tracks", percent(found.accuracy)),
    ]  # fmt: skip
    for rate, one in found.at_rates.items():
        within = "; ".join(f"within {soon} s {share.value:.1%}" for soon, share in one.within.items())
        rows.append((f"Fakes told at a threshold that accuses at most {float(rate):.0%} of these tracks", within))
    names = ["at the bundle's thresholds", *(f"accusing {float(rate):.0%}" for rate in found.at_rates)]
    tracks = f"{found.accused.count} real tracks of {found.accused.groups} groups"
    return _card(
        f"Verdicts, {condition.name}",
        element(
            "p",
            f"By replay, with the bundle's own thresholds: {tracks}, {condition.fake.tracks} fake ones of "
            f"{condition.fake.groups}. A fake that left before it was told counts as missed; the grey line says how "
            "many were still in view.",
            class_="hint",
        ),
        element(
            "div",
            element("figure", detection_chart(found), _key(names)),
            _table(("", "Share, with its 90% interval"), rows),
            class_="figures",
        ),
    )


# Conditions beside each other.


def _robustness(evaluation: Evaluation) -> Markup:
    there = {one.name: one for one in evaluation.conditions}
    names = [name for name in DISTORTIONS if any(f"{name}/{level}" in there for level in range(1, LEVELS + 1))]
    if not names:
        return Markup("")
    head = element("tr", *(element("th", text, scope="col") for text in ("", "as it is", "1", "2", "3", "4", "5")))
    rows = []
    for name in names:
        cells = [_heat(there.get(RAW))] + [_heat(there.get(f"{name}/{level}")) for level in range(1, LEVELS + 1)]
        rows.append(element("tr", element("th", name, scope="row"), *cells))
    return _card(
        "Robustness: AUC by track under seven distortions, five levels each",
        element("p", "Below each: tracks that could still be judged. Where few are left, the AUC is of those.",
                class_="hint"),
        element("table", element("thead", head), element("tbody", *rows), class_="heat"),
    )  # fmt: skip


def _heat(one: Condition | None) -> Markup:
    if one is None:
        return element("td", "")
    auc = one.tracks.auc.value
    tracks = one.real.tracks + one.fake.tracks
    if not isfinite(auc):
        return element("td", "n/a", element("small", str(tracks)), class_="h-none")
    step = min(10, max(0, round((auc - 0.5) * 20)))
    return element("td", f"{auc:.2f}", element("small", str(tracks)), class_=f"h{step}")


def _changes(evaluation: Evaluation) -> Markup:
    rows = []
    for one in evaluation.conditions:
        change = one.against_raw
        if change is None or one.name in ROBUSTNESS:
            continue
        interval = _between(change.change.low95, change.change.high95, "+.3f")
        rows.append(
            (
                one.name,
                f"{change.before:.3f} → {change.after:.3f}",
                f"n/a ({change.change.why})"
                if isnan(change.change.low95)
                else f"{change.change.value:+.3f} {interval}",
                "yes" if change.distinguishable else "no",
                f"{change.real_shift.value:+.2f}",
                f"{change.fake_shift.value:+.2f}",
                f"{change.change.count}, {change.lost} lost",
            )
        )
    if not rows:
        return Markup("")
    columns = ("Condition", "AUC by video", "Change, with its 95% interval", "Distinguishable from 0",
               "Real scores move by", "Fake scores move by", "Videos")  # fmt: skip
    return _card(
        "Changed footage against itself",
        element("p", "The same videos with and without the change, in pairs. What a network that looks at faces should "
                "not mind: other coding, borders, containers, mirroring.", class_="hint"),
        _table(columns, rows),
    )  # fmt: skip


def _parts(condition: Condition) -> Markup:
    groups: list[tuple[str, Sequence[Slice]]] = [
        ("Method (against all real tracks)", condition.methods),
        *((name.capitalize(), slices) for name, slices in condition.bands.items() if len(slices) > 1),
        ("Network", condition.bundles),
    ]
    tables = []
    for name, slices in groups:
        rows = [
            (
                foreign(one.name, 80),
                f"{one.real} real, {one.fake} fake",
                str(one.auc.groups),
                number(one.auc),
                number(one.tpr_at_5),
                number(one.twins) if one.twins.count else "",
            )
            for one in slices
        ]
        if rows:
            columns = (name, "Tracks", "Groups", "AUC", "TPR at FPR 5%", "AUC against own twins")
            tables.append(_table(columns, rows))
    return _card(f"Parts of it, {condition.name}", *tables)


# Single tracks.


def _mistakes(condition: Condition, pictures: Pictures) -> Markup:
    lists = []
    for label, words in (("real", "Real, and scored most like a fake"), ("fake", "Fake, and scored most like real")):
        items = [_mistake(one, pictures) for one in condition.mistakes if one.label == label]
        lists += [element("h3", words), element("ol", *items, class_="turns")] if items else []
    return _card("The worst mistakes", *lists) if lists else Markup("")


def _mistake(one: Mistake, pictures: Pictures) -> Markup:
    url = pictures.get((one.key, one.face_id, one.generation))
    picture = element("img", src=url, alt="the face at that moment", width=88, height=88) if url else Markup("")
    words = element(
        "div",
        element("b", foreign(one.key, 80)),
        element("span", foreign(one.method, 60), class_="change"),
        element("span", f"score {one.score:+.2f}, face {one.face_id}.{one.generation}, at {one.worst_pts_s:.1f} s",
                class_="why"),
    )  # fmt: skip
    return element("li", picture, words, class_=f"turn {one.label}")


def _courses(name: str, traces: TraceSet) -> Markup:
    least_s = least_seconds(traces.clip)
    parts = []
    for label in ("real", "fake"):
        tracks = [
            (trace, face)
            for trace in traces.of(name)
            if trace.label == label
            for face in trace.faces
            if face.usable_seconds >= least_s
        ]
        shown = thinned(tracks, MOST_COURSES)
        if not shown:
            continue
        left_out = f", {len(shown)} of {len(tracks)} drawn" if len(shown) < len(tracks) else ""
        parts.append(element("h3", f"{label.capitalize()}{left_out}"))
        parts.append(
            element(
                "ul",
                *(
                    element("li", course_chart(trace, face), element("small", foreign(_short(trace), 60)))
                    for trace, face in shown
                ),
                class_="courses",
            )
        )
    hint = element("p", "Raw scores, 0 below to 1 above; the line in the middle is 0.5.", class_="hint")
    return _card(f"Scores over time, {name}", hint, *parts) if parts else Markup("")


def _short(trace: Trace) -> str:
    return trace.key if len(trace.key) <= 34 else f"…{trace.key[-33:]}"


def _footer(evaluation: Evaluation) -> Markup:
    said = [
        "A track is a face generation that could be judged for two windows' time. Its score is the mean of what its "
        "usable moments say, as calibrated log-odds (uncalibrated: the raw score's logit). A video's score is that of "
        "its worst track.",
        "Intervals are over groups of people, not clips: ten clips of one person say little more than one. With few "
        "groups they are too narrow, whatever the method.",
        "TPR at an FPR and thresholds at a rate are chosen on the same data that they are told of, so they are a "
        "little too good. Thresholds of the bundle are not.",
    ]
    sums = ", ".join(one[:12] for one in evaluation.bundle_sha256)
    return element(
        "footer",
        element("h2", "How to read this"),
        *(element("p", line) for line in said),
        element("p", f"Bundles by their sha256: {sums}", class_="hint"),
    )


def _card(title: str, *inside: str) -> Markup:
    return element("section", element("h2", title), *inside, class_="card")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    head = element("tr", *(element("th", name, scope="col") for name in columns))
    body = (
        element("tr", *(element("td", cell, data_label=name) for name, cell in zip(columns, row, strict=True)))
        for row in rows
    )
    return element("table", element("thead", head), element("tbody", *body))


OWN_STYLE = """
main,footer{max-width:1180px}
:root{--l0:#2563c9;--l1:#c2410c;--l2:#15803d}
@media (prefers-color-scheme:dark){:root{--l0:#76aaff;--l1:#fb923c;--l2:#4ade80}}
table+table{margin-top:26px}
.figures{display:flex;flex-wrap:wrap;gap:24px;align-items:flex-start}
.figures table{flex:1 1 380px;width:auto}
figure{margin:0}
figcaption{font-size:13px;color:var(--faint);max-width:354px}
.line-of{display:block}
.swatch{display:inline-block;width:14px;height:3px;margin-right:6px;vertical-align:3px;background:currentColor}
.swatch.l0{color:var(--l0)}.swatch.l1{color:var(--l1)}.swatch.l2{color:var(--l2)}
.line{fill:none;stroke-width:2;stroke-linejoin:round}
.line.l0{stroke:var(--l0)}.line.l1{stroke:var(--l1)}.line.l2{stroke:var(--l2)}
.line.diagonal{stroke:var(--axis);stroke-width:1;stroke-dasharray:4 4}
.point{fill:var(--l0);fill-opacity:.75}
.whisker{stroke:var(--l0);stroke-width:1.5;stroke-opacity:.7}
.courses{list-style:none;margin:0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));
gap:10px 16px}
.courses small{display:block;font-size:11px;line-height:1.2;overflow-wrap:anywhere}
.course{display:block;background:var(--ground);max-width:100%}
.course .line{stroke-width:1.3}
.turn.real{border-color:var(--l0)}.turn.fake{border-color:var(--alarm)}
.heat td,.heat th{text-align:center;padding:6px}
.heat td small{display:block;font-size:11px;opacity:.8;color:inherit}
.h-none{color:var(--faint)}
""" + "".join(
    f".h{i}{{background:rgba(21,128,61,{i / 14:.2f})}}" if i else ".h0{background:rgba(179,38,30,.25)}"
    for i in range(11)
)
