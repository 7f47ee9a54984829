#pragma once

namespace ddpm_eval::eval {

/// The style sheet of all pages: light and dark by the reader's choice, light on paper, one column on a
/// phone.
inline constexpr const char* kStyle = R"css(
:root { color-scheme: light dark; --bg: #f5f6f8; --paper: #fff; --ink: #1c2128; --soft: #57606a; --line: #d8dee4;
  --accent: #0a58a5; --warn: #8a4b00; --warn-bg: #fff4e0; --code: #f5f6f8;
  --p0: #0072b2; --p1: #d55e00; --p2: #009e73; --p3: #b75a92; --p4: #c98a00; --p5: #3d9bd6; --p6: #777;
  --axis: #8c959f; --grid: #e6e9ed; --behind: #c3c9d0; }
@media screen and (prefers-color-scheme: dark) {
  :root { --bg: #0e1217; --paper: #161b22; --ink: #e6eaf0; --soft: #9aa4b0; --line: #2d343d; --accent: #6cb6ff;
    --warn: #f0b35e; --warn-bg: #2b2113; --code: #0e1217;
    --p0: #58aef0; --p1: #ff8f4d; --p2: #3ecf9e; --p3: #e79fcb; --p4: #f0bd4d; --p5: #9ad7ff; --p6: #a5adb8;
    --axis: #6b7581; --grid: #262d36; --behind: #444d58; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--bg); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
header, main, footer { max-width: 86rem; margin: 0 auto; padding: 0 clamp(.75rem, 3vw, 2rem); }
header { padding-top: clamp(1.5rem, 5vw, 3.5rem); }
h1 { font-size: clamp(1.55rem, 5vw, 2.3rem); line-height: 1.15; letter-spacing: -.02em; margin: .1em 0 .35em; }
h2 { font-size: 1.3rem; letter-spacing: -.01em; line-height: 1.25; margin: 0 0 .9rem; }
h3 { font-size: 1.02rem; margin: 1.6rem 0 .6rem; }
p { margin: 0 0 .8rem; max-width: 46rem; }
a { color: var(--accent); text-underline-offset: .15em; }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px;
  border-radius: 4px; }
.kind { color: var(--soft); font-size: .8rem; font-weight: 600; letter-spacing: .08em; text-transform: uppercase; margin: 0; }
.lede { font-size: 1.08rem; color: var(--soft); max-width: 52rem; }
.soft { color: var(--soft); font-size: .92rem; }
.banner { background: var(--warn-bg); color: var(--warn); border-left: 4px solid currentColor; border-radius: 6px;
  padding: .6rem .9rem; max-width: none; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .4rem .5rem; margin: 1.2rem 0 0; padding: 0; }
nav a { display: block; padding: .25rem .75rem; border: 1px solid var(--line); border-radius: 2rem; background: var(--paper);
  text-decoration: none; font-size: .92rem; }
nav a:hover { border-color: var(--accent); }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; margin: 1.3rem 0;
  padding: clamp(1rem, 2.5vw, 1.7rem); scroll-margin-top: 1rem; }
section > :last-child { margin-bottom: 0; }
/* Shades at the ends of what can be scrolled further: covers that move with the content over shades that do not. */
.scroll { overflow-x: auto; margin: 0 0 1.1rem; background:
  linear-gradient(to right, var(--paper) 40%, transparent) 0 0 / 2.5rem 100% no-repeat local,
  linear-gradient(to left, var(--paper) 40%, transparent) 100% 0 / 2.5rem 100% no-repeat local,
  linear-gradient(to right, var(--line), transparent) 0 0 / .7rem 100% no-repeat scroll,
  linear-gradient(to left, var(--line), transparent) 100% 0 / .7rem 100% no-repeat scroll; }
table { border-collapse: separate; border-spacing: 0; font-size: .94rem; font-variant-numeric: tabular-nums; min-width: min(100%, 24rem); }
caption { text-align: left; font-weight: 600; padding-bottom: .5rem; }
th, td { padding: .4rem .55rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; vertical-align: top; }
thead th { color: var(--soft); font-size: .86rem; font-weight: 600; border-bottom-width: 2px; vertical-align: bottom; }
tbody th { font-weight: 500; }
th:first-child { text-align: left; padding-left: 0; }
@media (min-width: 40rem) { th:first-child { position: sticky; left: 0; background: var(--paper); } }
tbody tr:last-child > * { border-bottom: 0; }
.words { text-align: left; }
sup { line-height: 0; }
sup a { text-decoration: none; padding: 0 .1em; }
.notes { font-size: .92rem; color: var(--soft); padding-left: 1.6rem; max-width: 52rem; }
.notes li { margin-bottom: .3rem; }
.remarks { font-size: .95rem; max-width: 52rem; padding-left: 1.2rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1.6rem 2rem; }
.figures.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); gap: 1.4rem; }
.figures > figure { display: grid; grid-row: span 2; grid-template-rows: subgrid; row-gap: 0; }
figure { margin: 0; break-inside: avoid; min-width: 0; }
figure svg { display: block; width: 100%; max-width: 36rem; height: auto; color: var(--ink); }
figure img { display: block; width: 100%; max-width: 32rem; height: auto; image-rendering: pixelated; border-radius: 4px; }
figcaption { margin-bottom: .5rem; }
figcaption b { display: block; font-weight: 600; }
figcaption span { display: block; color: var(--soft); font-size: .9rem; line-height: 1.4; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .3rem 1.4rem; margin: 0 0 1rem; }
dt { color: var(--soft); }
dd { margin: 0; min-width: 0; }
details { margin: .7rem 0; }
summary { cursor: pointer; font-weight: 600; padding: .2rem 0; }
pre { background: var(--code); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; overflow: auto;
  max-height: 34rem; font: .82rem/1.5 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; overflow-wrap: normal; }
.good { color: var(--p2); } .bad { color: var(--p1); }
footer { color: var(--soft); font-size: .88rem; padding-top: .5rem; padding-bottom: 3rem; }
@media (max-width: 30rem) { section { padding: .9rem .65rem; border-radius: 10px; } th, td { padding: .36rem .5rem; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
@media print { body { background: none; font-size: 10pt; } header, main, footer { max-width: none; padding: 0; }
  section { border: 0; padding: 0; margin: 1.2rem 0; } nav { display: none; } .scroll, pre { overflow: visible; max-height: none; }
  pre { white-space: pre-wrap; } table { font-size: 8.5pt; } th, td { padding: .25rem .5rem; white-space: normal; }
  h2, figcaption { break-after: avoid; } tr { break-inside: avoid; }
  .figures { grid-template-columns: 1fr 1fr; } .figures.small { grid-template-columns: 1fr 1fr 1fr; }
  details::details-content { content-visibility: visible; block-size: auto; } }
)css";

}  // namespace ddpm_eval::eval
