"""The look of a report: light and dark, wide and narrow, on paper. States have the colours that videos give them."""

from __future__ import annotations

from .annotate import STATE_COLOURS
from .heat import colours
from .markup import Markup


def style() -> Markup:
    """The page's look. Text on states is dark, since all their colours are light enough for it."""
    states = "\n".join(
        f".state.{state.lower()}{{fill:rgb{colour}}} .turn.{state.lower()}{{border-color:rgb{colour}}}"
        for state, colour in STATE_COLOURS.items()
    )
    steps = ",".join(f"rgb{tuple(colour)}" for colour in colours()[::51].tolist())
    return Markup(f"{STYLE}{states}\n.heat-scale{{background:linear-gradient(to right,{steps})}}")


STYLE = """
:root{--ground:#f4f6f9;--card:#fff;--ink:#1e293b;--faint:#56637a;--grid:#e3e8ef;--axis:#94a3b8;--bar:#2563c9;
--sum:#111827;--band:#2563c9;--alarm:#b3261e;--calm:#56637a;--warn-ground:#fff4d6;--warn-ink:#5c3d00;--warn:#e0a100;
--on-mark:#fff;--hatch:#94a3b8}
@media (prefers-color-scheme:dark){:root{--ground:#0d131f;--card:#162031;--ink:#e7ecf4;--faint:#a3b1c6;--grid:#26344a;
--axis:#5b6b84;--bar:#76aaff;--sum:#f8fafc;--band:#76aaff;--alarm:#ff8a80;--calm:#a3b1c6;--warn-ground:#3a2c05;
--warn-ink:#ffe3a0;--warn:#d99a00;--on-mark:#0d131f;--hatch:#5b6b84}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;-webkit-print-color-adjust:exact;print-color-adjust:exact}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
main,footer{max-width:1040px;margin:0 auto;padding:0 24px}
header{padding:40px 0 8px}
h1{font-size:30px;line-height:1.2;margin:0 0 6px;font-weight:680;letter-spacing:-.01em}
h2{font-size:20px;margin:0 0 10px;font-weight:650}
h3{font-size:14px;margin:22px 0 8px;font-weight:650;color:var(--faint)}
p{margin:0 0 10px}
a{color:inherit}
.over-title{margin:0 0 4px;color:var(--faint);font-size:14px}
.about,.hint,.notes,.axis-title,small{color:var(--faint);font-size:14px}
.notes{margin:0 0 10px;padding-left:18px}
.summary{font-size:20px;line-height:1.45;margin:18px 0 12px}
.warning{background:var(--warn-ground);color:var(--warn-ink);border-left:5px solid var(--warn);padding:12px 16px;
border-radius:6px;margin:16px 0 0}
.card{background:var(--card);border:1px solid var(--grid);border-radius:12px;padding:20px 24px;margin:0 0 20px}
.beside{margin-left:12px;font-size:14px;font-weight:400}
.chip{white-space:nowrap}
.swatch{vertical-align:-2px;overflow:visible}
table{width:100%;border-collapse:collapse;font-size:14px}
caption{text-align:left;color:var(--faint);padding-bottom:8px}
th,td{text-align:left;padding:8px 10px 8px 0;border-top:1px solid var(--grid);vertical-align:top}
th,td{overflow-wrap:break-word}
th{font-weight:600;color:var(--faint)}
.drawing{padding-left:30px;margin:0 2px 4px 0}
.defs{position:absolute}
.chart{display:block;overflow:visible;font-size:12px}
.chart text{fill:var(--ink)}
.chart .tick{fill:var(--faint)}
.chart .word{fill:#0b1220;font-weight:600}
.chart .name{fill:var(--faint)}
.chart .number{fill:var(--on-mark);font-size:11px;font-weight:700}
.grid{stroke:var(--grid)}
.axis{stroke:var(--axis)}
.border{stroke:var(--ink);stroke-width:1.5}
.bar,.sum{fill:none;vector-effect:non-scaling-stroke;stroke-linejoin:round}
.bar{stroke:var(--bar);stroke-width:3;stroke-opacity:.75}
.sum{stroke:var(--sum);stroke-width:1.8}
.band{fill:var(--band);fill-opacity:.17;stroke:none}
.state{stroke:none}
.over{pointer-events:none}
.ink{stroke:#0b1220;stroke-opacity:.28;stroke-width:2}
.dot{fill:#0b1220;fill-opacity:.4}
.hatch{stroke:var(--hatch);stroke-width:2;stroke-opacity:.55}
.mark{stroke-width:1.5;stroke-dasharray:4 4}
.mark.alarm{stroke:var(--alarm)}.mark.calm{stroke:var(--calm)}
.disc.alarm{fill:var(--alarm)}.disc.calm{fill:var(--calm)}
.key{list-style:none;margin:8px 0 0;padding:0 0 0 30px;display:flex;flex-wrap:wrap;gap:4px 22px;font-size:13px;
color:var(--faint)}
.plain{list-style:none;margin:12px 0 0;padding:0;font-size:14px}
.plain li{margin:2px 0}
.turns{list-style:none;margin:0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));
gap:12px}
.turn{display:flex;gap:12px;border-left:4px solid;padding-left:10px;font-size:13px;line-height:1.4;
break-inside:avoid}
.turn img,.no-picture{width:88px;height:88px;border-radius:6px;flex:none;display:block}
.no-picture{border:1px dashed var(--axis);color:var(--faint);display:flex;align-items:center;justify-content:center;
text-align:center;font-size:12px}
.turn small{font-size:13px}
.change,.why{display:block}
.why{color:var(--faint)}
.moments{list-style:none;margin:0 0 8px;padding:0;display:flex;flex-wrap:wrap;gap:16px 28px;font-size:13px}
.moments li{break-inside:avoid}
.moments p{margin:0 0 4px}
.moments figure{display:inline-block;margin:0 6px 0 0;text-align:center;color:var(--faint)}
.moments img{display:block;border-radius:6px}
.heat-scale{display:inline-block;width:120px;height:10px;border-radius:3px}
.marks{list-style:none;margin:0;padding:0;font-size:14px}
.marks li{display:grid;grid-template-columns:26px 84px 1fr;gap:8px;padding:6px 0;border-top:1px solid var(--grid)}
.marks li.gap{display:block;color:var(--faint)}
.badge{width:22px;height:22px;border-radius:11px;color:var(--on-mark);font-size:12px;font-weight:700;display:flex;
align-items:center;justify-content:center}
.badge.alarm{background:var(--alarm)}.badge.calm{background:var(--calm)}
.detail{color:var(--faint)}
footer{padding-bottom:48px;font-size:14px;color:var(--faint)}
footer h2{color:var(--ink);font-size:16px;margin-top:28px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 16px;margin:0 0 10px}
dt{color:var(--ink)}
dd{margin:0}
@media (max-width:640px){main,footer{padding:0 12px}.card{padding:16px 14px}header{padding-top:24px}h1{font-size:24px}
.summary{font-size:17px}.wide,.odd{display:none}.drawing{padding-left:24px}.key{padding-left:0}
thead,caption{display:none}table,tbody,tr,td{display:block}tr{border-top:1px solid var(--grid);padding:8px 0}
td{border:0;padding:2px 0;display:grid;grid-template-columns:120px 1fr}td::before{content:attr(data-label);
color:var(--faint)}.marks li{grid-template-columns:26px 64px 1fr}dl{grid-template-columns:1fr}dd{margin-bottom:6px}}
@media print{:root{--ground:#fff;--card:#fff;--ink:#111;--faint:#444;--grid:#ccc;--axis:#777;--bar:#2563c9;--sum:#000;
--band:#2563c9;--alarm:#b3261e;--calm:#444;--warn-ground:#fff;--warn-ink:#111;--on-mark:#fff;--hatch:#999}
.card{border-color:#bbb;break-inside:avoid-page}body{font-size:12px}main,footer{max-width:none;padding:0}}
"""
