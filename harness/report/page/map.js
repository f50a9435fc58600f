// ---- the map of modules: a row a layer, a column a module ----

// Splits taps into those before, in and after the layers. Layers of one kind share a table.
function arrange(taps) {
  const arranged = {before: [], groups: new Map(), after: []};
  for (const tap of taps) {
    const place = placeOf(tap);
    if (!place) {
      (arranged.groups.size === 0 ? arranged.before : arranged.after).push(tap);
      continue;
    }
    const {kind, index, module} = place;
    if (!arranged.groups.has(kind)) arranged.groups.set(kind, {columns: [], rows: new Map()});
    const group = arranged.groups.get(kind);
    if (!group.rows.has(index)) group.rows.set(index, new Map());
    group.rows.get(index).set(module, tap);
  }
  for (const group of arranged.groups.values()) group.columns = columnsOf(group.rows.values());
  return arranged;
}

// The modules of all rows in one order: a module comes after the one that it follows in its row.
function columnsOf(rows) {
  const columns = [];
  for (const row of rows) {
    let next = 0;
    for (const module of row.keys()) {
      const found = columns.indexOf(module);
      if (found < 0) columns.splice(next, 0, module);
      next = (found < 0 ? next : found) + 1;
    }
  }
  return columns;
}

// The taps, and the modules under suspicion that the trace does not show, where they belong.
function withSuspects(result) {
  const first = result.first_divergence;
  if (!first || !first.between) return result.taps;
  const suspects = first.between.map((name) => ({name, missing: true}));
  const at = result.taps.findIndex((tap) => tap.name === first.tap);
  return [...result.taps.slice(0, at), ...suspects, ...result.taps.slice(at)];
}

function describe(tap) {
  if (tap.missing) return `${tap.name}: not in the trace, the fault may lie here`;
  const inherited = tap.inherited ? `; inherited ${short(tap.inherited)} of its size` : '';
  const local = tap.local ? `; ${short(tap.local)} of its size` : '';
  if (!isMeasured(tap.error, tap.tolerance)) return `${tap.name} ${tap.message || tap.verdict}`;
  return `${tap.name}: ${tap.verdict}, error ${short(tap.error)}, tolerance ${short(tap.tolerance)}, ` +
         `used ${percent(tap.used)} of it${local}${inherited}`;
}

function mapSection(result) {
  const first = result.first_divergence;
  const taps = withSuspects(result);
  const hasInherited = taps.some((tap) => tap.inherited);
  const readout = el('p', {class: 'readout', role: 'status'}, 'Point at a module, or move with the arrow keys.');
  const byCell = new Map();

  const cell = (tap, label) => {
    const failed = tap.missing || VERDICTS[tap.verdict].failure;
    const mark = tap.missing ? '?' : failed || tap.verdict === 'undecided' ? VERDICTS[tap.verdict].mark : '';
    const node = el('button', {class: 'cell', type: 'button', tabindex: '-1', 'aria-label': describe(tap)},
                    el('span', {class: 'mark', 'aria-hidden': 'true'}, mark), label || null);
    if (tap.missing) node.classList.add('missing');
    if (first && tap.name === first.tap) node.classList.add('first');
    byCell.set(node, tap);
    return node;
  };
  const strip = (title, outside) => outside.length === 0 ? null :
      el('div', {class: 'strip'}, el('h4', {}, title), outside.map((tap) => cell(tap, tap.name)));
  const groupTable = ([kind, {columns, rows}]) => el(
      'div', {class: 'scroll'},
      el('table', {class: 'map'},
         el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, kind),
                            columns.map((module) => el('th', {scope: 'col'}, el('span', {}, module || 'output'))))),
         el('tbody', {}, Array.from(rows, ([index, row]) => el(
             'tr', {}, el('th', {scope: 'row'}, index),
             columns.map((module) => el('td', {}, row.has(module) ? cell(row.get(module)) : null)))))));
  const {before, groups, after} = arrange(taps);
  const map = el('div', {class: 'modules', role: 'group', 'aria-label': 'Modules'},
                 strip('before the layers', before), Array.from(groups, groupTable),
                 strip(groups.size === 0 ? 'taps' : 'after the layers', groups.size === 0 ? [] : after));

  // The switch between local and inherited error.
  const legends = el('div', {});
  const paint = (inherited) => {
    for (const [node, tap] of byCell) {
      if (tap.missing) continue;
      const step = inherited ? `i${bin(tap.inherited, RELATIVE_EDGES)}` : `s${bin(tap.used, SHARE_EDGES)}`;
      node.className = node.className.replace(/ ?\b[si]\d\b/, '') + ` ${step}`;
    }
    legends.replaceChildren(inherited ? legend('i', RELATIVE_EDGES, 'none') : legend('s', SHARE_EDGES, 'none'));
  };
  const choice = (label, inherited) => el(
      'label', {}, el('input', {type: 'radio', name: 'map', checked: !inherited, disabled: inherited && !hasInherited,
                                onchange: () => paint(inherited)}), label);
  paint(false);

  // One cell at a time can be reached with the tab key; the arrow keys go on from it.
  const cells = [...byCell.keys()];
  const start = cells.find((node) => node.classList.contains('first')) || cells[0];
  start.tabIndex = 0;
  requestAnimationFrame(() => {
    const frame = start.closest('.scroll');
    if (frame) frame.scrollLeft += start.getBoundingClientRect().left - frame.getBoundingClientRect().left - frame.clientWidth / 2;
  });
  const tell = (event) => {
    const node = event.target.closest('.cell');
    if (node) readout.textContent = describe(byCell.get(node));
  };
  map.addEventListener('mouseover', tell);
  map.addEventListener('focusin', tell);
  map.addEventListener('keydown', (event) => {
    const next = neighbour(cells, event.target, event.key);
    if (!next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  return el('section', {}, el('h3', {}, 'Modules by layer'),
            el('fieldset', {class: 'switch'}, el('legend', {class: 'hidden'}, 'Colour'),
               choice('error made here, share of the tolerance', false),
               choice(hasInherited ? 'inherited error, relative to the tap' : 'inherited error (computed where a trace fails)', true)),
            map, readout, legends);
}

// The cell that an arrow key leads to: the next one to a side, or the nearest in the next row.
function neighbour(cells, from, key) {
  const at = cells.indexOf(from);
  if (at < 0) return null;
  if (key === 'ArrowLeft') return cells[at - 1];
  if (key === 'ArrowRight') return cells[at + 1];
  if (key === 'Home') return cells[0];
  if (key === 'End') return cells.at(-1);
  if (key !== 'ArrowUp' && key !== 'ArrowDown') return null;
  const box = from.getBoundingClientRect();
  const down = key === 'ArrowDown' ? 1 : -1;
  let best = null, distance = Infinity;
  for (const cell of cells) {
    const other = cell.getBoundingClientRect();
    const below = down * (other.top - box.top);
    const away = below * 1000 + Math.abs(other.left - box.left);
    if (below > 1 && away < distance) [best, distance] = [cell, away];
  }
  return best;
}
