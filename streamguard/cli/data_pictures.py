"""A page with the first picture of each face that was cut, for people who would rather look.

Used by `streamguard data show`. It is one file, and shows people: it is for whoever may see the footage.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from ..crop import crop_square, follow_square
from ..data.index import Footage, Index
from ..data.tracks import Track, open_tracks
from ..errors import SinkError
from ..sinks.markup import Markup, element, foreign

PICTURE_PX = 112
STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 24px; background: #fff; color: #222; }
main { display: flex; flex-wrap: wrap; gap: 12px; }
figure { margin: 0; width: 136px; border-top: 4px solid #2a7de1; padding-top: 4px; }
figure.fake { border-color: #c43c2e; }
img { width: 112px; height: 112px; display: block; }
figcaption { overflow-wrap: anywhere; font-size: 12px; }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd; } }
"""


def write_pictures(index: Index, path: Path, tell: Callable[[int], None]) -> int:
    """How many faces are on the page. `tell` hears how many clips are done."""
    count = 0
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write('<!doctype html>\n<html lang="en"><meta charset="utf-8">\n')
            file.write(f"<title>{html.escape(index.folder.name)}</title>\n<style>{STYLE}</style>\n")
            file.write(element("h1", foreign(str(index.folder))) + "\n")
            file.write(
                "<p>The first picture of each face, as a network is given it. Blue: real. Red: fake.</p>\n<main>\n"
            )
            for number, (footage, track) in enumerate(_faces(index, tell)):
                file.write(_figure(footage, track) + "\n")
                count = number + 1
            file.write("</main></html>\n")
    except OSError as exc:
        raise SinkError(str(path), exc.strerror or str(exc)) from exc
    return count


def _faces(index: Index, tell: Callable[[int], None]) -> Iterator[tuple[Footage, Track]]:
    order = sorted(index.footage, key=lambda footage: (footage.label, footage.method, footage.group, footage.key))
    for done, footage in enumerate(order):
        tell(done)
        for track in open_tracks(index.tracks_folder(footage)):
            yield footage, track


def _figure(footage: Footage, track: Track) -> Markup:
    patch = track.patch(0)
    crop = crop_square(patch, follow_square(None, patch.face.box_px), PICTURE_PX)
    data = io.BytesIO()
    Image.fromarray(crop).save(data, "JPEG", quality=85)
    source = f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
    told = ", ".join(word for word in (footage.label, footage.method, f"{track.face_px:.0f} px") if word)
    return element(
        "figure",
        element("img", src=source, alt="", loading="lazy"),
        element(
            "figcaption", foreign(footage.key), f"/{track.folder.name}: ", foreign(told), " of ", foreign(footage.group)
        ),
        class_=footage.label,
    )
