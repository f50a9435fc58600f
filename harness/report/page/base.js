// ---- the report, its numbers and its words ----

const report = JSON.parse(document.getElementById('report').textContent);

// In the order in which the list shows them.
const VERDICTS = {
  crashed: {mark: '!', failure: true},
  mismatch: {mark: '✕', failure: true},
  untrusted: {mark: '?', failure: true},
  rejected: {mark: '⊘', failure: true},
  undecided: {mark: '≈', failure: false},
  match: {mark: '✓', failure: false},
  unsupported: {mark: '–', failure: false},
};
const VERDICT_NAMES = Object.keys(VERDICTS);

// JSON has no infinity: a string represents it.
function number(value) {
  return value === 'inf' ? Infinity : value === '-inf' ? -Infinity : value === 'nan' ? NaN : value || 0;
}

function short(value, digits = 3) {
  const x = number(value);
  if (!Number.isFinite(x)) return Number.isNaN(x) ? 'nan' : x > 0 ? 'inf' : '-inf';
  if (x === 0) return '0';
  const text = Math.abs(x) >= 1e-4 && Math.abs(x) < 1e5 ? String(Number(x.toPrecision(digits)))
                                                       : Number(x.toPrecision(digits)).toExponential();
  return text.replace('-', '−');
}

// A share of a tolerance; what is beyond the tolerance is never rounded to 100 %.
function percent(share) {
  const x = 100 * number(share);
  if (!Number.isFinite(x)) return 'infinite';
  return (x < 10 || x >= 1000 ? short(x, 2) : String(x > 100 ? Math.ceil(x) : Math.round(x))) + ' %';
}

// Whether there is an error to measure: not of another shape or kind of value, where the message says what is known.
function isMeasured(error, tolerance) {
  return number(tolerance) !== 0 || Number.isFinite(number(error));
}

function count(value, one, many) {
  return `${value.toLocaleString('en')} ${value === 1 ? one : many}`;
}

// The bin of a share of a tolerance: 0 none, then up to each edge, then above the last.
const SHARE_EDGES = [0, 0.01, 0.1, 1, 10, 100];
const RELATIVE_EDGES = [0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-2];
function bin(value, edges) {
  const x = number(value);
  const found = edges.findIndex((edge) => x <= edge);
  return found < 0 ? edges.length : found;
}
function binLabel(index, edges, none) {
  return index === 0 ? none : index < edges.length ? `to ${short(edges[index])}` : `above ${short(edges.at(-1))}`;
}

// The place of a tap inside a block, null outside: kind of block, its index, and the module in it ('' for the block's
// own output). The report tells; names are not read here.
function placeOf(tap) {
  if (!Object.hasOwn(report.places, tap.name)) return null;
  const [kind, index, module] = report.places[tap.name];
  return {kind, index, module};
}

function subject(result) {
  return result.file || result.case || result.candidate;
}

// ---- elements ----

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) {
      node.addEventListener(name.slice(2), value);
    } else if (value !== undefined && value !== null && value !== false) {
      node.setAttribute(name, value === true ? '' : value);
    }
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function badge(verdict, withName) {
  const {mark} = VERDICTS[verdict];
  return el('span', {class: `badge ${verdict}`, title: verdict},
            el('span', {class: 'mark', 'aria-hidden': 'true'}, mark),
            el('span', {class: withName ? '' : 'hidden'}, verdict));
}

function table(head, rows, label) {
  const cell = (content, i) => el(i === 0 ? 'th' : 'td', i === 0 ? {scope: 'row'} : {}, content);
  return el('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label},
            el('table', {class: 'data'},
               el('thead', {}, el('tr', {}, head.map((text) => el('th', {scope: 'col'}, text)))),
               el('tbody', {}, rows.map((row) => el('tr', {}, row.map(cell))))));
}

function legend(kind, edges, none) {
  const step = (_, i) => el('li', {}, el('span', {class: `swatch ${kind}${i}`}), binLabel(i, edges, none));
  return el('ul', {class: 'legend'}, Array.from({length: edges.length + 1}, step));
}
