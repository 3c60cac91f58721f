"""How report pages look and what moves on them: one style sheet, one small script."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f7f6f3; --card: #fff; --ink: #1d2025; --soft: #666c74; --line: #dfdcd5;
  --truth: #2b3038; --fill: #2b303826; --method: #c9430a; --speaker: #3a86c8;
  --good: #157a4d; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #131519; --card: #1b1e24; --ink: #e8e6e1; --soft: #9aa1ab; --line: #31353d;
    --truth: #d9dbe0; --fill: #d9dbe033; --method: #ff8f52; --speaker: #6db3f0;
    --good: #5fd39b; --bad: #ff8b80;
  }
}
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100% }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
header, main { max-width: 1120px; margin: 0 auto; padding: 0 24px }
header { padding-top: 44px }
h1 { font-size: clamp(1.6rem, 4.5vw, 2.3rem); line-height: 1.15; margin: 0 0 12px }
h1, h2 { letter-spacing: -.015em }
h2 { font-size: 1.35rem; margin: 0 0 6px }
h3 { font-size: 1rem; margin: 26px 0 8px }
p { max-width: 72ch; margin: 0 0 12px }
a { color: inherit }
small { color: var(--soft); font-size: .78rem; font-weight: 400 }
code { font: .86em ui-monospace, SFMono-Regular, Menlo, monospace; overflow-wrap: anywhere }
.lead { color: var(--soft); max-width: 72ch }
.lead b { color: var(--ink); font-weight: 600 }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 18px 0 22px; font-size: .9rem }
section { padding: 34px 0 22px; scroll-margin-top: 48px }
section + section { border-top: 1px solid var(--line) }

.switch {
  position: sticky; top: 0; z-index: 5; background: var(--page);
  border-bottom: 1px solid var(--line);
}
.switch fieldset {
  max-width: 1120px; min-width: 0; margin: 0 auto; padding: 8px 24px; border: 0;
  display: flex; gap: 14px; align-items: center;
}
.switch legend {
  float: left; padding: 0; font-size: .85rem; color: var(--soft); white-space: nowrap;
}
.key { display: inline-block; width: 14px; height: 3px; border-radius: 2px; margin: 0 6px 3px 0 }
.key.truth { background: var(--truth) }
.key.method { background: var(--method); margin-left: 12px }
.key.speaker { background: var(--speaker); margin-left: 12px }
.choices {
  display: flex; gap: 6px; overflow-x: auto; scrollbar-width: none; padding: 2px; min-width: 0;
}
.choices label { flex: none; cursor: pointer; position: relative }
.choices input { position: absolute; opacity: 0 }
.choices span {
  display: block; padding: 3px 12px; border: 1px solid var(--line); border-radius: 99px;
  font-size: .85rem; background: var(--card);
}
.choices input:checked + span {
  background: var(--method); border-color: var(--method); color: var(--page); font-weight: 600;
}
.choices input:focus-visible + span { outline: 2px solid var(--ink); outline-offset: 1px }

.cards {
  display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr));
}
.card, .density, .scroll, .timeline {
  margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
}
.card { padding: 12px 14px }
figcaption { font-size: .88rem; margin-bottom: 6px }
.card figcaption { display: flex; justify-content: space-between; align-items: baseline; gap: 10px }
.dots .row {
  display: grid; grid-template-columns: 8.4em 1fr 3.8em; gap: 10px; align-items: center;
  font-size: .8rem; line-height: 1.75;
}
.who { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: var(--soft) }
.best .who, .best .num { color: var(--ink); font-weight: 700 }
.num, td { font-variant-numeric: tabular-nums }
.num { text-align: right }
.track {
  position: relative; height: 14px;
  background: linear-gradient(var(--line), var(--line)) center / 100% 1px no-repeat;
}
.track i { position: absolute; top: 50%; transform: translateY(-50%); background: var(--soft) }
.bar { height: 4px; border-radius: 2px; opacity: .45; min-width: 2px }
.dot { width: 9px; height: 9px; border-radius: 50%; margin-left: -4.5px }
.row.truth .track i { background: var(--truth) }

.scroll { overflow-x: auto; margin: 12px 0 }
table { border-collapse: collapse; width: 100%; font-size: .88rem }
caption { text-align: left; font-weight: 600; padding: 10px 14px 4px }
th, td {
  padding: 6px 12px; text-align: right; white-space: nowrap; border-top: 1px solid var(--line);
}
thead th { border-top: 0; color: var(--soft); font-weight: 500; font-size: .8rem }
th:first-child {
  text-align: left; position: sticky; left: 0; background: var(--card);
  padding-left: 14px; font-weight: 500;
}
td small { display: block; font-size: .72rem; line-height: 1.3 }
td.best { font-weight: 700 }
td.worse { color: var(--bad) }
td.better { color: var(--good) }
tr.truth th, tr.truth td, tr.bound th, tr.bound td { font-style: italic }
tr.published th, tr.published td { color: var(--soft) }
.notes {
  font-size: .82rem; color: var(--soft); padding-left: 1.1em; margin: 10px 0; max-width: 80ch;
}
.notes b { color: var(--ink); font-weight: 600 }

.densities {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px;
}
.density { padding: 8px 10px 5px }
.density figcaption {
  display: flex; justify-content: space-between; gap: 6px; font-size: .76rem; margin: 0 0 4px;
}
.density figcaption span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.density small { white-space: nowrap; font-size: .72rem }
.density svg { height: 58px; border-bottom: 1px solid var(--line) }
.ends { display: flex; justify-content: space-between; font-size: .68rem; color: var(--soft) }
svg { display: block; width: 100% }
path { fill: none; stroke-width: 1.6; vector-effect: non-scaling-stroke; stroke-linejoin: round }
path.truth { stroke: var(--truth) }
path.method { stroke: var(--method) }
path.speaker { stroke: var(--speaker); stroke-width: 1; opacity: .6 }
.density path.truth { fill: var(--fill); stroke: none }
rect.truth { fill: var(--truth) }
rect.method { fill: var(--method) }
rect.speaker { fill: var(--speaker); opacity: .6 }
details { margin: 14px 0 }
summary { cursor: pointer; font-size: .9rem; color: var(--soft); margin-bottom: 10px }

.clip { margin: 18px 0 34px }
.clip h3 { display: flex; gap: 12px; align-items: baseline; flex-wrap: wrap }
.film { max-width: 768px; margin: 0 auto 14px }
.film video { width: 100%; aspect-ratio: 3; display: block; background: #000; border-radius: 8px }
.labels {
  display: grid; grid-template-columns: 1fr 1fr 1fr; text-align: center; font-size: .82rem;
  font-weight: 600; margin-bottom: 4px;
}
.labels .method { color: var(--method) }
.labels .speaker { color: var(--speaker) }
.timeline { --who: 9.6rem; position: relative; padding: 12px 14px }
.lane {
  display: grid; grid-template-columns: var(--who) minmax(0, 1fr);
  gap: 12px; align-items: center;
}
.lane .who { font-size: .8rem; display: flex; justify-content: space-between; gap: 6px }
.plot { margin-bottom: 8px }
.plot .who { position: relative; align-self: stretch }
.plot .who small { position: absolute; right: 0; font-size: .68rem }
.plot .who small:nth-of-type(1) { top: 0 }
.plot .who small:nth-of-type(2) { bottom: 0 }
.plot svg { height: 86px; border: solid var(--line); border-width: 0 0 1px 1px }
.raster { min-height: 23px }
.raster svg {
  height: 16px;
  background: linear-gradient(var(--line), var(--line)) center / 100% 1px no-repeat;
}
.ticks { position: relative; height: 1.5em; font-size: .72rem; color: var(--soft) }
.ticks span { position: absolute; transform: translateX(-50%); white-space: nowrap }
.ticks span:first-child { transform: none }
.ticks span:last-child { transform: translateX(-100%) }
.overlay {
  position: absolute; inset: 12px 14px 2.2em calc(14px + var(--who) + 12px); pointer-events: none;
}
.cursor {
  position: absolute; top: 0; bottom: 0; left: calc(var(--at, 0) * 100%); width: 1px;
  background: var(--ink); opacity: 0;
}
.playing .cursor { opacity: .6 }

dl {
  display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 5px 22px; font-size: .9rem;
  margin: 14px 0;
}
dt { color: var(--soft) }
dd { margin: 0; overflow-wrap: anywhere; max-width: 80ch }
.warn {
  border-left: 4px solid var(--method); border-radius: 0 8px 8px 0; background: var(--card);
  padding: 12px 18px; margin: 14px 0;
}
.warn ul { margin: 6px 0 0; padding-left: 1.1em }
.warn li { margin-bottom: 6px; max-width: 80ch }

@media (max-width: 640px) {
  header, main { padding: 0 16px }
  header { padding-top: 28px }
  .switch fieldset { padding: 8px 16px; gap: 10px }
  .switch legend { font-size: .75rem }
  .densities { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px }
  .timeline { --who: 0rem }
  .lane { grid-template-columns: minmax(0, 1fr); gap: 2px }
  .raster { margin-top: 7px }
  .plot .who { justify-content: flex-start; gap: 10px }
  .plot .who small { position: static }
  .plot svg { height: 70px }
  .axis .who { display: none }
  .overlay { left: 14px }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0 }
  dd { margin-bottom: 8px }
  .film { margin-left: -8px; margin-right: -8px }
  th, td { padding: 6px 9px }
}
@media print { .switch { display: none } }
"""


def shown(methods: int) -> str:
    """Rules that show what belongs to the chosen one of ``methods``, and mark its rows."""
    rules = []
    for index in range(methods):
        chosen = f':root[data-shown="{index}"]'
        rules += [
            f':root:not([data-shown="{index}"]) [data-m="{index}"] {{ display: none }}',
            f'{chosen} [data-row="{index}"] .track i {{ background: var(--method) }}',
            f'{chosen} [data-row="{index}"] .who {{ color: var(--method) }}',
        ]
    return "\n".join(rules)


SCRIPT = """
const root = document.documentElement;
const films = [...document.querySelectorAll('.film video')];

for (const input of document.querySelectorAll('.switch input')) {
  input.addEventListener('change', () => {
    const before = root.dataset.shown;
    root.dataset.shown = input.value;
    for (const film of films) {
      if (film.closest('.film').dataset.m !== before) continue;
      const clip = film.closest('.clip');
      const other = clip.querySelector(`.film[data-m="${input.value}"] video`);
      if (!other || other === film) continue;
      const playing = !film.paused;
      film.pause();
      if (film.currentTime) other.currentTime = film.currentTime;
      if (playing) other.play();
    }
  });
}

for (const film of films) {
  const line = film.closest('.clip').querySelector('.timeline');
  const move = () => {
    line.style.setProperty('--at', Math.min(1, film.currentTime / line.dataset.seconds));
    if (!film.paused) requestAnimationFrame(move);
  };
  film.addEventListener('play', () => {
    for (const other of films) if (other !== film) other.pause();
    line.classList.add('playing');
    move();
  });
  film.addEventListener('seeked', () => { line.classList.add('playing'); move(); });
}
"""
