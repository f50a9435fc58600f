// ---- the error by depth in the model ----

// A logarithmic scale over what is finite and not zero: whole decades, two at least.
function decades(values, include) {
  const logs = values.map(number).concat(include).filter((x) => x > 0 && Number.isFinite(x)).map(Math.log10);
  if (logs.length === 0) logs.push(0);
  const low = Math.floor(Math.min(...logs));
  const high = Math.max(Math.ceil(Math.max(...logs)), low + 2);
  return {low, high};
}

// Series of one value a tap: {label, name, values}. Zero lies on the lower edge, infinity and NaN on the upper one.
function depthChart(taps, series, threshold, width) {
  const height = 190, left = 46, right = 10, top = 10, bottom = 34;
  const {low, high} = decades(series.flatMap((s) => s.values), threshold ? [threshold] : []);
  const x = (i) => left + (width - left - right) * (i + 0.5) / taps.length;
  const y = (value) => {
    const v = number(value);
    const log = v > 0 ? Math.min(high, Math.max(low, Math.log10(v))) : Number.isNaN(v) ? high : low;
    return top + (height - top - bottom) * (high - log) / (high - low);
  };
  const parts = [];
  const step = Math.ceil((high - low) / 6);
  for (let d = low; d <= high; d += step) {
    parts.push(svg('line', {x1: left, x2: width - right, y1: y(10 ** d), y2: y(10 ** d), class: 'grid'}),
               svg('text', {x: left - 6, y: y(10 ** d) + 4, 'text-anchor': 'end'}, Math.abs(d) <= 2 ? short(10 ** d) : `1e${d}`.replace('-', '−')));
  }
  let last = null, free = 0;
  taps.forEach((tap, i) => {
    const place = placeOf(tap);
    const here = place ? `${place.kind}.${place.index}` : null;
    if (here === last) return;
    last = here;
    parts.push(svg('line', {x1: x(i - 0.5), x2: x(i - 0.5), y1: top, y2: height - bottom, class: 'grid'}));
    if (!place || x(i) < free) return;
    const label = place.kind === 'layers' ? String(place.index) : `${place.kind[0]}${place.index}`;
    parts.push(svg('text', {x: x(i - 0.5) + 2, y: height - bottom + 14}, label));
    free = x(i) + 9 + 7 * label.length;
  });
  parts.push(svg('text', {x: left, y: height - 4, class: 'axis'}, 'layer, in the order of execution'));
  if (threshold) {
    parts.push(svg('line', {x1: left, x2: width - right, y1: y(threshold), y2: y(threshold), class: 'limit'}));
  }
  for (const {name, values, label} of series) {
    parts.push(svg('path', {class: `line ${name}`, d: values.map((v, i) => `${i ? 'L' : 'M'}${x(i)} ${y(v)}`).join('')}));
    values.forEach((v, i) => {
      const title = svg('title', {}, `${taps[i].name}: ${label} ${short(v)}`);
      const bad = VERDICTS[taps[i].verdict].failure && name !== 'inherited';
      const [cx, cy] = [x(i), y(v)];
      parts.push(bad ? svg('path', {class: 'cross', d: `M${cx - 4} ${cy - 4}l8 8m0 -8l-8 8`}, title)
                     : svg('circle', {class: name, cx, cy, r: taps.length > 200 ? 1.3 : 2.5}, title));
    });
  }
  return svg('svg', {width, height, role: 'img', class: 'depth',
                     'aria-label': series.map((s) => s.label).join(', ') + ' of every tap'}, ...parts);
}

function depthSection(result) {
  const taps = result.taps;
  const used = [{label: 'share of the tolerance', name: 'used', values: taps.map((tap) => tap.used)}];
  const relative = [
    {label: 'error made here', name: 'local', values: taps.map((tap) => tap.local || 0)},
    {label: 'inherited error', name: 'inherited', values: taps.map((tap) => tap.inherited || 0)},
  ];
  const hasRelative = taps.some((tap) => tap.inherited);
  const key = (name, label) => el('li', {}, el('span', {class: `key ${name}`}), label);
  const draw = (node, chart) => {
    const paint = () => {
      if (node.clientWidth > 0) node.replaceChildren(chart(node.clientWidth));
    };
    new ResizeObserver(paint).observe(node);
    return node;
  };
  return el('section', {}, el('h3', {}, 'Error along the depth'),
            el('ul', {class: 'legend'}, key('used', 'share of the tolerance'), key('limit', 'the tolerance'),
               key('cross', 'wrong')),
            draw(el('div', {class: 'chart'}), (width) => depthChart(taps, used, 1, width)),
            hasRelative ? [
              el('ul', {class: 'legend'}, key('local', 'error made here, relative to the tap'),
                 key('inherited', 'inherited error, relative to the tap'), key('cross', 'wrong')),
              draw(el('div', {class: 'chart'}), (width) => depthChart(taps, relative, 0, width)),
            ] : null);
}

// ---- how many elements are how wrong ----

function histogramSection(first) {
  const {edges, counts} = first.histogram;
  const largest = Math.max(1, ...counts), all = counts.reduce((a, b) => a + b, 0);
  const row = (value, i) => el(
      'tr', {}, el('th', {scope: 'row'}, binLabel(i, edges, 'none')),
      el('td', {}, value.toLocaleString('en')),
      el('td', {class: 'bar'}, el('span', {class: `s${i}`, style: `width: ${100 * value / largest}%`, hidden: value === 0})));
  return el('section', {}, el('h3', {}, 'Elements by share of the tolerance'),
            el('p', {}, `${count(all, 'element', 'elements')} of ${first.tap}`),
            el('table', {class: 'histogram'}, el('tbody', {}, counts.map(row))));
}

// ---- the worst tensor ----

function heatSection(first) {
  const {rows, columns, cell_height: high, cell_width: wide, shares} = first.map;
  const canvas = el('canvas', {tabindex: '0', role: 'img'});
  const readout = el('p', {class: 'readout', role: 'status'});
  let at = shares.reduce((best, share, i) => number(share) > number(shares[best]) ? i : best, 0), size = 1;
  const range = (from, length) => length === 1 ? `${from}` : `${from} to ${from + length - 1}`;
  const show = (index) => {
    at = index;
    const row = Math.floor(at / columns), column = at % columns;
    readout.textContent = `rows ${range(row * high, high)}, columns ${range(column * wide, wide)}: ` +
                          `at most ${short(shares[at])} of the tolerance`;
    paint();
  };
  const paint = () => {
    const space = canvas.parentNode.clientWidth;
    if (space === 0) return;
    size = Math.max(2, Math.min(18, Math.floor(space / columns)));
    const scale = window.devicePixelRatio || 1, style = getComputedStyle(document.body);
    canvas.width = columns * size * scale;
    canvas.height = rows * size * scale;
    canvas.style.width = `${columns * size}px`;
    const pen = canvas.getContext('2d');
    pen.scale(scale, scale);
    shares.forEach((share, i) => {
      pen.fillStyle = style.getPropertyValue(`--s${bin(share, SHARE_EDGES)}`);
      pen.fillRect((i % columns) * size, Math.floor(i / columns) * size, size, size);
    });
    pen.strokeStyle = style.getPropertyValue('--ink');
    pen.lineWidth = 2;
    pen.strokeRect((at % columns) * size, Math.floor(at / columns) * size, size, size);
  };
  canvas.setAttribute('aria-label', `Errors of ${first.tap}, ${rows} by ${columns} cells; arrow keys move`);
  canvas.addEventListener('mousemove', (event) => {
    const column = Math.min(columns - 1, Math.floor(event.offsetX / size));
    const row = Math.min(rows - 1, Math.floor(event.offsetY / size));
    if (row >= 0 && column >= 0) show(row * columns + column);
  });
  canvas.addEventListener('keydown', (event) => {
    const move = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
    if (!move) return;
    event.preventDefault();
    const row = Math.min(rows - 1, Math.max(0, Math.floor(at / columns) + move[0]));
    const column = Math.min(columns - 1, Math.max(0, at % columns + move[1]));
    show(row * columns + column);
  });
  const frame = el('div', {class: 'scroll'}, canvas);
  new ResizeObserver(() => show(at)).observe(frame);
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
  return el('section', {}, el('h3', {}, `The errors of ${first.tap}`),
            el('p', {}, `Its last axis runs to the right, all others down. A cell is ${high} by ${wide} ` +
                        `${high * wide === 1 ? 'element' : 'elements'} and shows the worst.`),
            frame, readout, legend('s', SHARE_EDGES, 'none'));
}
