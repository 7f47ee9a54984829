// What is wrong with the page that is shown: a list of sentences. arguments[0] has what is expected of it: the number of
// rows of tables by caption, and of pictures and plots at least.
const expected = arguments[0];
const problems = [];
const visible = (element) => element.checkVisibility();
const name = (element) => `${element.tagName.toLowerCase()} ${(element.id || element.getAttribute('aria-label') || element.textContent).trim().slice(0, 40)}`;

const page = document.documentElement;
if (page.scrollWidth > innerWidth) {
  const wide = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.parentElement.closest('.scroll, pre, svg'));
  problems.push(`overflows: ${page.scrollWidth} px wide at ${innerWidth}: ${wide.slice(0, 3).map(name).join('; ')}`);
}

const tables = Object.fromEntries([...document.querySelectorAll('table')].map((table) => [table.caption?.textContent, table]));
for (const [caption, rows] of Object.entries(expected.rows ?? {})) {
  const found = tables[caption]?.tBodies[0]?.rows.length ?? 0;
  if (found !== rows) problems.push(`table '${caption}' has ${found} rows, not ${rows}`);
}
for (const table of document.querySelectorAll('table')) {
  const columns = table.tHead.rows[0].cells.length;
  if ([...table.tBodies[0].rows].some((row) => row.cells.length !== columns)) problems.push(`${name(table)}: rows of other lengths than the head`);
  if (!table.caption || [...table.querySelectorAll('th')].some((th) => !th.scope)) problems.push(`${name(table)}: no caption, or a header without scope`);
}

const images = [...document.images];
for (const image of images) {
  if (!image.complete || image.naturalWidth === 0) problems.push(`a picture is not shown: ${image.alt}`);
  if (!image.alt) problems.push('a picture has no alt text');
}
const plots = [...document.querySelectorAll('svg')];
for (const plot of plots) {
  const box = plot.getBoundingClientRect();
  if (visible(plot) && (box.width < 100 || box.height < 100)) problems.push(`a plot is ${box.width} x ${box.height}: ${name(plot)}`);
  const broken = [...plot.querySelectorAll('use')].filter((use) => !document.querySelector(use.getAttribute('href')));
  if (broken.length > 0) problems.push(`a plot lacks its symbols: ${name(plot)}`);
  if (plot.querySelectorAll('path, polygon, use').length < 3) problems.push(`an empty plot: ${name(plot)}`);
}
if (images.length < (expected.images ?? 0)) problems.push(`${images.length} pictures, not ${expected.images}`);
if (plots.length < (expected.plots ?? 0)) problems.push(`${plots.length} plots, not ${expected.plots}`);

for (const region of document.querySelectorAll('.scroll, pre')) {
  if (region.tabIndex !== 0 || !region.getAttribute('aria-label')) problems.push(`cannot be scrolled by the keyboard: ${name(region)}`);
}
const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
if (new Set(ids).size !== ids.length) problems.push(`an id is there twice: ${ids.find((id, i) => ids.indexOf(id) !== i)}`);
for (const link of document.querySelectorAll('a')) {
  const target = link.getAttribute('href');
  if (target.startsWith('#') ? !document.getElementById(target.slice(1)) : !target.startsWith('./')) problems.push(`a link to ${target}`);
}
let level = 0;
for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
  const next = Number(heading.tagName[1]);
  if (next > level + 1) problems.push(`a heading skips a level: ${heading.textContent}`);
  level = next;
}
if (document.querySelectorAll('h1').length !== 1 || !page.lang || !document.title) problems.push('not one h1, no language or no title');
const loaded = performance.getEntriesByType('resource').filter((entry) => !entry.name.startsWith('data:'));
if (loaded.length > 0) problems.push(`loads ${loaded[0].name}`);
if (document.scripts.length > 0) problems.push('has a script');

// Text must stand out from what it stands on, in the light and in the dark.
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[\d.]+/g).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  const colour = getComputedStyle(element).backgroundColor;
  return colour.endsWith(', 0)') ? (element.parentElement ? ground(element.parentElement) : 'rgb(255, 255, 255)') : colour;
};
for (const element of document.querySelectorAll('h1, h2, p, th, td, a, summary, dt, dd, figcaption span, li, .good, .bad, svg text')) {
  if (!visible(element)) continue;
  const style = getComputedStyle(element);
  const ink = element instanceof SVGElement ? style.fill : style.color;
  const [one, two] = [luminance(ink), luminance(ground(element))].sort((a, b) => b - a);
  const contrast = (one + 0.05) / (two + 0.05);
  if (contrast < 4.5) problems.push(`contrast ${contrast.toFixed(1)}: ${name(element)}`);
}
return problems;
