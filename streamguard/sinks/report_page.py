"""A stream's story as one HTML page: no script, nothing from elsewhere, everything that others wrote is escaped.

It reads on paper and on telephones, in light and dark, and says in words what it shows in colours.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from ..config import FacesConfig
from ..values import FaceState, LostCause, Reason
from .heat import AGAINST_ITSELF, CAUTION, KIND_WORDS
from .markup import Markup, element, foreign, plain
from .report_chart import definitions, face_chart, key_swatch, participant_chart, swatch
from .report_moments import Moment
from .report_story import MOST_GENERATIONS, FaceStory, Generation, Mark, Story, Turn
from .report_style import style
from .report_words import (
    LOST_MEANING,
    LOST_WORDS,
    REASON_MEANING,
    REASON_WORDS,
    STATE_MEANING,
    count,
    listed,
    moment,
    reason_words,
    seconds,
    sentence,
    state_words,
)

MOST_NOTES = 20
THUMBNAIL_PX = 88
"""As shown; the picture itself has twice as many."""
HEAT_PX = 128
"""Of the pictures with heat maps, each side."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""For the browser: whatever slipped through, it may load and run nothing."""


def page(story: Story, *, title: str, notes: Sequence[str] = ()) -> str:
    faces = list(story.faces.values())
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("title", plain(title, 120)),
        element("style", style()),
    )
    body = element(
        "body",
        definitions(),
        element(
            "main",
            _header(story, title, notes),
            _participant(story),
            _table(story, faces) if faces else "",
            *(_face(story, face) for face in faces),
            _left_out(story),
            _happened(story),
        ),
        _footer(story, faces),
    )
    return "<!DOCTYPE html>\n" + element("html", head, "\n", body, lang="en") + "\n"


# The head: what it is about, and what came out, in words.


def _header(story: Story, title: str, notes: Sequence[str]) -> Markup:
    warnings = [note for note in notes[:MOST_NOTES] if is_warning(note)]
    others = [note for note in notes[:MOST_NOTES] if not is_warning(note)]
    if len(notes) > MOST_NOTES:
        others.append(f"{count(len(notes) - MOST_NOTES, 'more note')} left out.")
    return element(
        "header",
        element("p", "StreamGuard report", class_="over-title"),
        element("h1", foreign(title)),
        element("p", *_about(story), class_="about"),
        *(
            element("p", element("strong", "Warning: "), foreign(note), class_="warning", role="note")
            for note in warnings
        ),
        element("p", summary(story), class_="summary"),
        element("ul", *(element("li", foreign(note)) for note in others), class_="notes") if others else "",
    )


def is_warning(note: str) -> bool:
    """A note stands out if its first word is in capitals, such as UNTRAINED."""
    first = note.split(maxsplit=1)[0] if note.strip() else ""
    return sum(letter.isupper() for letter in first) >= 4 and first.isupper()


def _about(story: Story) -> list[str]:
    parts: list[str] = []
    if story.source is not None:
        source = story.source
        parts += [foreign(source.url), f", {source.width} × {source.height} pixels, ", foreign(source.codec, 40)]
    elif story.stream_id is not None:
        parts.append(foreign(story.stream_id))
    if story.participant_id is not None:
        parts += [". Participant: " if parts else "Participant: ", foreign(story.participant_id)]
    return parts


def summary(story: Story) -> str:
    """The whole report in a few plain sentences."""
    said = [*_seen(story), *(_verdicts(story) if story.faces else ["Nobody was judged."])]
    if story.participant and story.participant[-1].state in (FaceState.LIKELY_REAL, FaceState.LIKELY_FAKE):
        said.append(f"The participant looked {state_words(story.participant[-1].state)} at the end.")
    alarms = sum(mark.times for mark in story.marks if mark.alarming) + story.marks_left_out
    if alarms:
        said.append(f"{count(alarms, 'thing')} went wrong on the way: see “What happened”.")
    return " ".join(said)


def _seen(story: Story) -> Iterable[str]:
    length = f" in {seconds(story.end_s - story.start_s)} of video" if story.end_s > story.start_s else ""
    if not story.faces:
        short = story.frames is not None and story.frames < FacesConfig().looks_to_confirm
        hint = f" A face appears once it was seen in {FacesConfig().looks_to_confirm} pictures." if short else ""
        yield f"No face was seen{length}.{hint}"
        return
    more = " or more" if story.generations_left_out else ""
    faces = len(story.faces)
    yield f"{faces}{more} {'face' if faces == 1 and not more else 'faces'}{length}."
    if story.scores:
        yield f"{count(story.scores, 'window')} scored."


def _verdicts(story: Story) -> Iterable[str]:
    faces = list(story.faces.values())
    fake = [face for face in faces if face.state is FaceState.LIKELY_FAKE]
    once = [face for face in faces if face not in fake and FaceState.LIKELY_FAKE in face.states]
    others = [face for face in faces if FaceState.LIKELY_FAKE not in face.states]
    real = [face for face in others if face.state is FaceState.LIKELY_REAL]
    real_once = [face for face in others if face not in real and FaceState.LIKELY_REAL in face.states]
    rest = [face for face in others if FaceState.LIKELY_REAL not in face.states]
    if len(rest) == len(faces):
        yield _why_nobody(story)
        return
    for group, words in (
        (fake, "looked likely fake at the end"),
        (once, "looked likely fake for a time"),
        (real, "looked likely real"),
        (real_once, "looked likely real for a time"),
        (rest, "could not be decided"),
    ):
        if group:
            yield f"{_names(group)} {words}."


def _why_nobody(story: Story) -> str:
    if not story.scores:
        return "Nobody was judged: no window was scored."
    if not any(face.calibrated for face in story.faces.values()):
        return "Nobody was judged: the scores are not calibrated, so they are no probabilities."
    return "No face could be decided: what was seen was not enough."


def _names(faces: Sequence[FaceStory]) -> str:
    ids = [str(face.face_id) for face in faces[:8]]
    if len(faces) > 8:
        ids.append(f"{len(faces) - 8} more")
    return f"{'Face' if len(faces) == 1 else 'Faces'} {listed(ids)}"


# The participant, the table.


def _participant(story: Story) -> Markup:
    if not story.participant:
        return Markup("")
    shown = story.participant[-12:]
    rows = [
        element(
            "li",
            element("b", moment(span.since_s)),
            " ",
            chip(span.state),
            f": {sentence(span.words)[:1].lower()}{sentence(span.words)[1:]}",
        )
        for span in shown
    ]
    earlier = len(story.participant) - len(shown) + story.participant_left_out
    if earlier:
        rows.insert(0, element("li", f"{count(earlier, 'earlier or shorter change')} not listed."))
    return element(
        "section",
        element("h2", "The participant"),
        element(
            "p", "Kept across faces and generations: hiding does not shed it. Forgotten over minutes.", class_="hint"
        ),
        participant_chart(story),
        element("ul", *rows, class_="plain"),
        class_="card",
    )


COLUMNS = ("Face", "Generations", "Seen", "Windows scored", "Last state", "Highest p(face)", "Reasons")


def _table(story: Story, faces: Sequence[FaceStory]) -> Markup:
    head = element("tr", *(element("th", name, scope="col") for name in COLUMNS))
    return element(
        "section",
        element("h2", "Faces"),
        element(
            "table",
            element("caption", "Every face, with its last state and what stood in the way of judging it."),
            element("thead", head),
            element("tbody", *(_row(story, face) for face in faces)),
        ),
        class_="card",
    )


def _row(story: Story, face: FaceStory) -> Markup:
    reasons = [reason for reason, _ in face.reasons.most_common()]
    highest = "none" if face.highest_p_face is None else f"{face.highest_p_face:.2f}"
    cells = (
        element("a", f"Face {face.face_id}", href=f"#face-{face.face_id}"),
        str(len(face.generations)),
        f"{moment(face.first_s)} to {moment(_last_s(story, face))}",
        f"{face.scores:,}",
        chip(face.state),
        highest,
        reason_words(reasons) or "none",
    )
    return element("tr", *(element("td", cell, data_label=name) for name, cell in zip(COLUMNS, cells, strict=True)))


def _last_s(story: Story, face: FaceStory) -> float:
    return max(story.last_s(one) for one in face.generations)


def chip(state: FaceState) -> Markup:
    return element("span", swatch(state), " ", state_words(state), class_="chip")


# One face.


def _face(story: Story, face: FaceStory) -> Markup:
    return element(
        "section",
        element("h2", f"Face {face.face_id}", element("span", chip(face.state), class_="beside")),
        element("p", _axis_words(face), class_="axis-title"),
        face_chart(story, face),
        _key(face),
        _lives(story, face),
        _moments(face, story.moments.of(face.face_id)),
        _turns(face),
        class_="card face",
        id=f"face-{face.face_id}",
    )


def _axis_words(face: FaceStory) -> str:
    if face.calibrated:
        return "Probability of fake, 0 to 1, over media time"
    return "Raw score (uncalibrated), 0 to 1, over media time" if face.bars else "No window was scored"


def _key(face: FaceStory) -> Markup:
    """What the lines mean, and what was thinned out."""
    each = "one window's score, as long as the window"
    if face.scores_a_bar > 1:
        each = f"the mean of up to {face.scores_a_bar:,} neighbouring scores (there are too many to draw each)"
    if face.calibrated:
        told = [("bar", each), ("band", "where it lies with 90% confidence"), ("sum", "p(face): all evidence so far")]
        without = face.uncalibrated_scores
    else:
        told = [
            ("bar", each),
            ("sum", "running mean of the last five raw scores"),
            ("band", "their spread (a standard deviation each way)"),
        ]
        without = 0
    parts = [element("li", key_swatch(kind), " ", words) for kind, words in told] if face.bars else []
    if without:
        parts.append(element("li", f"{count(without, 'score')} without a calibrated probability not drawn"))
    return element("ul", *parts, class_="key") if parts else Markup("")


def _lives(story: Story, face: FaceStory) -> Markup:
    lives = [_life(story, generation) for generation in face.generations]
    return element("ul", *lives, class_="plain lives")


def _life(story: Story, generation: Generation) -> Markup:
    end = "still there at the end" if generation.lost is None else f"ended: {LOST_WORDS[generation.lost]}"
    words = f" {moment(generation.first_s)} to {moment(story.last_s(generation))}, {end}."
    short = f" {count(generation.spans_left_out, 'short state')} not drawn." if generation.spans_left_out else ""
    return element("li", element("b", f"Generation {generation.number}:"), words, short)


def _moments(face: FaceStory, moments: Sequence[Moment]) -> Markup:
    """Where the network found something when it thought most of a forgery."""
    if not moments:
        return Markup("")
    told = [
        f"The scored windows with the highest p(fake). {CAUTION}",
        "What glows is where the network found something, and not whether that is a forgery.",
    ]
    if not all(one.pictures.comparable for one in moments):
        told.append(f"Shown is {AGAINST_ITSELF}: each has a hottest place, whoever it is of.")
    if FaceState.LIKELY_FAKE not in face.states:
        told.append("This face was never likely fake: nothing here speaks against it.")
    by_time = sorted(moments, key=lambda one: one.pts_s)
    return element(
        "div",
        element("h3", "Strongest moments"),
        element("p", " ".join(told), class_="hint"),
        element("ol", *(_moment(face, one) for one in by_time), class_="moments"),
        element("p", "little ", element("span", "", class_="heat-scale", aria_hidden="true"), " much", class_="hint"),
    )


def _moment(face: FaceStory, one: Moment) -> Markup:
    pictures = one.pictures
    told = (
        (pictures.crop, "crop", "what the network saw"),
        (pictures.anomaly, "anomaly", KIND_WORDS["anomaly"]),
        (pictures.motion, "motion", KIND_WORDS["motion"]),
    )
    number = f" gen {one.generation}," if len(face.generations) > 1 else ""
    head = element("p", element("b", moment(one.pts_s)), f"{number} p(fake) {one.p_fake:.2f} ", chip(one.state))
    return element(
        "li", head, *(_heat_picture(face, one, png, name, words) for png, name, words in told if png is not None)
    )


def _heat_picture(face: FaceStory, one: Moment, png: bytes, name: str, words: str) -> Markup:
    picture = element(
        "img",
        src="data:image/png;base64," + base64.b64encode(png).decode(),
        alt=f"Face {face.face_id} at {moment(one.pts_s)}: {words}",
        width=HEAT_PX,
        height=HEAT_PX,
    )
    return element("figure", picture, element("figcaption", name))


def _turns(face: FaceStory) -> Markup:
    """What changed and when, with the picture where there is one."""
    left_out = ""
    pictures = any(turn.jpeg is not None for turn in face.turns)
    if face.turns_left_out:
        left_out = element(
            "p", f"{count(face.turns_left_out, 'less telling turning point')} left out between these.", class_="hint"
        )
    return element(
        "div",
        element("h3", "Turning points"),
        element("ol", *(_turn(face, turn, pictures) for turn in face.turns), class_="turns"),
        left_out,
    )


def _turn(face: FaceStory, turn: Turn, pictures: bool) -> Markup:
    picture: str = ""
    if turn.jpeg is not None:
        picture = element(
            "img",
            src="data:image/jpeg;base64," + base64.b64encode(turn.jpeg).decode(),
            alt=f"Face {face.face_id} at {moment(turn.pts_s)}, {state_words(turn.state)}",
            width=THUMBNAIL_PX,
            height=THUMBNAIL_PX,
        )
    elif pictures:
        picture = element("span", "no picture", class_="no-picture", aria_hidden="true")
    changes = [element("span", change, class_="change") for change in turn.changes]
    why = element("span", f"Why: {reason_words(turn.reasons)}", class_="why") if turn.reasons else ""
    number = f"gen {turn.generation}" if len(face.generations) > 1 else ""
    words = element("div", element("b", moment(turn.pts_s)), " ", element("small", number), *changes, why)
    return element("li", picture, words, class_=f"turn {turn.state.lower()}")


# What happened, what is missing, how to read it.


def _happened(story: Story) -> Markup:
    rows: list[Markup] = []
    marks = story.marks
    for number, mark in enumerate(marks, start=1):
        if story.marks_left_out and number == len(story.early_marks) + 1:
            rows.append(element("li", f"{story.marks_left_out:,} more in between, left out.", class_="gap"))
        rows.append(_mark(number, mark))
    if story.ended:
        frames = f" after {count(story.frames, 'frame')}" if story.frames is not None else ""
        rows.append(_line("", story.end_s, f"The stream ended{frames}.", "", "calm"))
    else:
        rows.append(_line("", story.end_s, "Watching ended; the stream did not say that it was over.", "", "calm"))
    return element("section", element("h2", "What happened"), element("ol", *rows, class_="marks"), class_="card")


def _mark(number: int, mark: Mark) -> Markup:
    words = sentence(mark.words) + (f" {mark.times:,} times." if mark.times > 1 else "")
    return _line(str(number), mark.pts_s, words, mark.detail, "alarm" if mark.alarming else "calm")


def _line(number: str, pts_s: float, words: str, detail: str, kind: str) -> Markup:
    told = [" ", element("bdi", detail, class_="detail")] if detail else []
    badge = element("span", number, class_=f"badge {kind}") if number else element("span", "", class_="badge none")
    return element("li", badge, element("b", moment(pts_s)), element("span", words, *told))


def _left_out(story: Story) -> Markup:
    told = []
    if story.generations_left_out:
        more = count(story.generations_left_out, "later face generation")
        told.append(f"{more} not shown: this report holds {MOST_GENERATIONS}.")
    if story.scores_left_out:
        told.append(f"{count(story.scores_left_out, 'score')} of faces that are not shown, or that had ended.")
    if story.thumbnails_left_out:
        told.append(f"{count(story.thumbnails_left_out, 'picture')} of turning points: there were too many.")
    if not told:
        return Markup("")
    return element(
        "section", element("h2", "Left out"), element("ul", *(element("li", one) for one in told)), class_="card"
    )


def _footer(story: Story, faces: Sequence[FaceStory]) -> Markup:
    states = [
        pair
        for state in FaceState
        for pair in (element("dt", chip(state)), element("dd", sentence(STATE_MEANING[state])))
    ]
    seen = {reason for face in faces for reason in face.reasons}
    reasons = _meanings([(REASON_WORDS[reason], REASON_MEANING[reason]) for reason in Reason if reason in seen])
    causes = {one.lost for face in faces for one in face.generations}
    ends = _meanings([(LOST_WORDS[cause], LOST_MEANING[cause]) for cause in LostCause if cause in causes])
    parts = [element("h2", "How to read this"), element("h3", "States"), element("dl", *states)]
    if reasons:
        parts += [element("h3", "Reasons"), element("dl", *reasons)]
    parts += [
        element("h3", "Generations"),
        element(
            "p",
            "A face gets a new generation whenever it may be somebody else. No score crosses from one to the next, "
            "so one person’s verdict is never another’s.",
        ),
    ]
    if ends:
        parts.append(element("dl", *ends))
    parts += [
        element("p", "A verdict is a measurement with an error, not a proof. Look yourself before you act on it."),
        element(
            "p",
            element("strong", "Confidential. "),
            "This report holds pictures of faces and verdicts about people. Keep it as you would a medical finding, "
            "and delete it when it has served its purpose.",
        ),
        element("p", "Made by StreamGuard from the events of one stream. Version and network, where known, are in the "
                "notes at the top.", class_="hint"),
    ]  # fmt: skip
    return element("footer", *parts)


def _meanings(pairs: Iterable[tuple[str, str]]) -> list[Markup]:
    return [part for word, meaning in pairs for part in (element("dt", word), element("dd", sentence(meaning)))]
