"""How the page looks."""

STYLE = """
:root { color-scheme: light dark; --bg: #fbfbfa; --card: #fff; --text: #1d2126; --muted: #626a74;
  --line: #e3e5e8; --s1: #2868ad; --s2: #c9611a; }
@media (prefers-color-scheme: dark) { :root { --bg: #15181c; --card: #1c2025; --text: #e4e7eb;
  --muted: #9aa3ae; --line: #30363d; --s1: #6aaae8; --s2: #eb9450; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 68rem; background: var(--bg);
  color: var(--text); font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .6rem; }
h3 { font-size: .95rem; margin: 1.2rem 0 .4rem; }
p { margin: .4rem 0 .8rem; max-width: 48rem; overflow-wrap: anywhere; }
.lead { color: var(--muted); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1.1rem 1.3rem;
  margin-top: 1rem; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin-top: 1rem; font-size: .9rem; }
a { color: var(--s1); text-decoration: none; } a:hover { text-decoration: underline; }
.tiles { display: flex; flex-wrap: wrap; gap: .7rem; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .55rem .9rem;
  flex: 1 1 8.5rem; }
.tile b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.tile span { color: var(--muted); font-size: .8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .9rem .28rem 0; text-align: left; vertical-align: top; max-width: 22rem;
  overflow-wrap: break-word; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--muted); font-weight: 500; white-space: nowrap; }
.n { text-align: right; white-space: nowrap; }
.confusion th, .confusion td { padding: .3rem .6rem; }
.confusion thead th { text-align: right; white-space: normal; }
.confusion thead th:first-child { text-align: left; }
.confusion tbody th { font-weight: 500; white-space: nowrap; }
.right { background: color-mix(in srgb, var(--s1) calc(var(--share) * .55), transparent); }
.wrong { background: color-mix(in srgb, var(--s2) calc(var(--share) * .8), transparent); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr));
  gap: .5rem 1.2rem; margin: .3rem 0 .8rem; }
dt { color: var(--muted); font-size: .8rem; } dd { margin: 0; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
ul { margin: .4rem 0 .8rem; padding-left: 1.2rem; } li { max-width: 52rem; overflow-wrap: anywhere; }
.findings li::marker { color: var(--s2); }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 25rem), 1fr));
  gap: 1rem; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .85rem; font-weight: 500; overflow-wrap: anywhere; }
.key { font-weight: 400; color: var(--muted); margin-left: .7rem; white-space: nowrap; }
.key i { display: inline-block; width: .75em; height: .75em; margin-right: .35em; border-radius: 2px; }
i.s1 { background: var(--s1); } i.s2 { background: var(--s2); } i.soft { opacity: .45; }
svg { display: block; width: 100%; max-width: 30rem; height: auto; font-size: 12px; font-family: inherit; }
svg text { fill: var(--muted); stroke: var(--card); stroke-width: 3; paint-order: stroke; }
svg .label { font-size: 12.5px; }
svg .grid { stroke: var(--line); } svg .axis { stroke: var(--muted); }
svg .rule { stroke: var(--muted); stroke-dasharray: 4 3; fill: none; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
svg .thin { stroke-width: 1.2; opacity: .7; }
svg .dots { fill: none; stroke-width: 5; stroke-linecap: round; opacity: .55; }
svg path.s1 { stroke: var(--s1); } svg path.s2 { stroke: var(--s2); }
svg path.s2.dots { opacity: 1; stroke-width: 6; }
svg rect.s1 { fill: var(--s1); } svg rect.s2 { fill: var(--s2); } svg rect.soft { opacity: .45; }
svg.bar { width: 10rem; margin-top: .2rem; } svg .whisker { stroke: var(--text); stroke-width: 1.5; }
details { margin-top: .5rem; } summary { cursor: pointer; color: var(--s1); }
@media (max-width: 40rem) { body { padding: 1rem .7rem 3rem; } section { padding: .9rem .8rem; }
  svg.bar { width: 6rem; }
  th, td { max-width: 12rem; } }
@media print { section { break-inside: avoid; } nav { display: none; } }
"""
