// ---- one result in full ----

function code(text) {
  return el('code', {}, text);
}

function divergenceSection(result) {
  const first = result.first_divergence;
  const between = first.between || [];
  const times = number(first.tolerance) > 0 ? `, ${short(number(first.local_error) / number(first.tolerance))} times the tolerance` : '';
  const measured = isMeasured(first.local_error, first.tolerance);
  const operation = first.operation || {};
  const facts = [
    ['operation', operation.formula && code(operation.formula)],
    ['source', operation.source && code(operation.source)],
    ['upstream', operation.upstream && code(operation.upstream)],
    ['worst element', first.worst && [code(`[${first.worst.index.join(', ')}]`),
      ` is ${short(first.worst.candidate, 9)}, the oracle ${short(first.worst.oracle, 9)}`]],
    ['hint', first.hint && el('strong', {}, first.hint)],
    ['note', first.note],
  ].filter(([, value]) => value);
  return el('section', {class: 'divergence'}, el('h3', {}, 'First divergence'),
            el('p', {}, 'The first wrong tap is ', code(first.tap),
               first.after ? [': the tap before it, ', code(first.after), ', is right'] : null,
               between.length > 0 ? ['. The trace does not show ', between.map((name, i) => [i ? ', ' : '', code(name)]),
                                     ', where the fault may lie as well'] : null,
               measured ? `. The error made here is ${short(first.local_error)}${times}; ` +
                          `the inherited error is ${short(first.inherited_error)}.` : '.'),
            facts.length > 0 ? el('dl', {}, facts.map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]))
                             : null);
}

function repeatSection(result) {
  const command = code(result.repeat);
  const button = el('button', {type: 'button', onclick: async () => {
    try {
      await navigator.clipboard.writeText(result.repeat);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(command);  // no clipboard here: ready to be copied by hand
    }
  }}, 'Copy');
  return el('section', {}, el('h3', {}, 'Repeat'), el('div', {class: 'repeat'}, el('pre', {}, command), button));
}

function undecidedSection(result) {
  const row = (choice) => [code(choice.tap), choice.token, choice.candidate.join(', '), choice.oracle.join(', '),
                           short(choice.margin), short(choice.bound)];
  return el('section', {}, el('h3', {}, 'Undecided choices'),
            table(['tap', 'token', 'candidate', 'oracle', 'margin', 'bound'], result.undecided.map(row),
                  'Undecided choices'));
}

// Every tap, made when it is opened.
function tapsSection(result) {
  const numbers = (tap) => isMeasured(tap.error, tap.tolerance) ? [short(tap.error), short(tap.tolerance), percent(tap.used)]
                                                                : ['', '', ''];
  const row = (tap) => [[badge(tap.verdict, false), ' ', code(tap.name)], ...numbers(tap),
                        tap.local ? short(tap.local) : '', tap.inherited ? short(tap.inherited) : '', tap.message || ''];
  const details = el('details', {}, el('summary', {}, `All ${count(result.taps.length, 'tap', 'taps')}`));
  details.addEventListener('toggle', () => {
    details.append(table(['tap', 'error', 'tolerance', 'used', 'local', 'inherited', ''], result.taps.map(row), 'Taps'));
  }, {once: true});
  return el('section', {}, details);
}

function detail(result) {
  const first = result.first_divergence;
  const facts = [
    ['case', result.case && code(result.case)],
    ['candidate', result.candidate + (result.producer ? ` (recorded by ${result.producer})` : '')],
    ['oracle', result.oracle],
    ['worst tolerance used', result.taps.length > 0 && percent(result.used)],
    ['time', `${short(result.seconds)} s`],
  ].filter(([, value]) => value);
  return [
    el('p', {class: 'back'}, el('a', {href: '#'}, '← all results')),
    el('h2', {}, badge(result.verdict, true), ' ', el('span', {class: 'subject'}, subject(result))),
    result.message ? el('pre', {class: 'message'}, result.message) : null,
    (result.notes || []).map((note) => el('p', {class: 'note'}, 'Note: ', note)),
    el('dl', {}, facts.map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])),
    first ? divergenceSection(result) : null,
    result.repeat ? repeatSection(result) : null,
    result.taps.length > 0 ? [mapSection(result), depthSection(result)] : null,
    first && first.map ? heatSection(first) : null,
    first && first.histogram ? histogramSection(first) : null,
    result.undecided.length > 0 ? undecidedSection(result) : null,
    result.taps.length > 0 ? tapsSection(result) : null,
  ];
}

// ---- all results in a table ----

function overview() {
  const groups = new Map();
  report.results.forEach((result, index) => {
    const name = result.candidate + (result.producer ? ` (${result.producer})` : '');
    const key = JSON.stringify([name, result.dtype || '']);
    if (!groups.has(key)) groups.set(key, {name, dtype: result.dtype || '', counts: {}, used: 0, by: null});
    const group = groups.get(key);
    group.counts[result.verdict] = (group.counts[result.verdict] || 0) + 1;
    if (number(result.used) > group.used) [group.used, group.by] = [number(result.used), index];
  });
  const verdicts = VERDICT_NAMES.filter((name) => report.summary[name]);
  const row = ({name, dtype, counts, used, by}) => [
    name, dtype, verdicts.map((verdict) => counts[verdict] || ''), percent(used),
    by === null ? '' : el('a', {href: `#${by}`}, subject(report.results[by]).replace(/\.safetensors$/, ''))].flat();
  const rows = [...groups].sort(([a], [b]) => a < b ? -1 : 1).map(([, group]) => row(group));
  return [
    el('details', {open: matchMedia('(min-width: 821px)').matches}, el('summary', {}, el('h2', {}, 'Candidates')),
       table(['candidate', 'dtype', ...verdicts.map((name) => badge(name, false)), 'worst tolerance used', 'by'], rows, 'Candidates')),
    el('p', {class: 'note'}, 'An error of up to 100 % of its tolerance is right. ',
       el('span', {class: 'keys'}, 'Keys: ', el('kbd', {}, '/'), ' search, ', el('kbd', {}, '↑'), ' ', el('kbd', {}, '↓'),
          ' move in the list, ', el('kbd', {}, 'Enter'), ' open, ', el('kbd', {}, 'Esc'), ' back.')),
  ];
}
