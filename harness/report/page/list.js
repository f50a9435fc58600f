// ---- the list of results, its filters, and what is shown next to it ----

const byId = (id) => document.getElementById(id);
const filters = {verdict: null};
const texts = report.results.map((result) => {
  const first = result.first_divergence;
  return [result.file, result.case, result.candidate, result.producer, result.verdict, result.message, first && first.tap,
          first && first.hint, ...(result.notes || [])].join('\n').toLowerCase();
});

const ORDERS = {
  verdict: (a, b) => VERDICT_NAMES.indexOf(a.verdict) - VERDICT_NAMES.indexOf(b.verdict),
  used: (a, b) => number(a.used) === number(b.used) ? 0 : number(b.used) - number(a.used),
  name: (a, b) => subject(a) < subject(b) ? -1 : subject(a) > subject(b) ? 1 : 0,
  seconds: (a, b) => b.seconds - a.seconds,
};

function item(index) {
  const result = report.results[index];
  const name = subject(result).replace(/\.safetensors$/, '');
  const cut = result.file ? name.lastIndexOf('/') + 1 : 0;
  const used = Math.min(1, number(result.used));
  const judged = result.taps.length > 0;
  return el('li', {}, el('a', {href: `#${index}`, 'data-index': index},
    badge(result.verdict, false),
    el('span', {class: 'name'}, name.slice(0, cut), el('b', {}, name.slice(cut))),
    el('span', {class: 'candidate'}, result.candidate),
    el('span', {class: 'share', title: 'worst tolerance used'},
       judged ? [el('span', {class: 'track'}, el('span', {class: used < 1 ? '' : 'over', style: `width: ${100 * used}%`})), percent(result.used)]
              : null)));
}

function showList() {
  const words = byId('search').value.toLowerCase().split(/\s+/).filter((word) => word);
  const candidate = byId('candidate').value;
  const found = report.results.map((_, index) => index).filter((index) => {
    const result = report.results[index];
    return (!filters.verdict || result.verdict === filters.verdict) && (!candidate || result.candidate === candidate) &&
           words.every((word) => texts[index].includes(word));
  });
  const order = ORDERS[byId('order').value];
  found.sort((a, b) => order(report.results[a], report.results[b]) || a - b);
  byId('list').replaceChildren(...found.map(item));
  byId('shown').textContent = found.length === report.results.length
      ? count(found.length, 'result', 'results') : `${found.length} of ${count(report.results.length, 'result', 'results')}`;
  markChosen();
}

function chosen() {
  const index = /^#\d+$/.test(location.hash) ? Number(location.hash.slice(1)) : -1;
  return index >= 0 && index < report.results.length ? index : null;
}

// Scrolls the list only, and only if need be: the page stays where it is.
function showInList(link) {
  const frame = byId('list').getBoundingClientRect(), box = link.getBoundingClientRect();
  if (box.top < frame.top || box.bottom > frame.bottom) byId('list').scrollTop += box.top - frame.top - frame.height / 2;
}

function markChosen() {
  const index = chosen();
  for (const link of byId('list').querySelectorAll('a')) {
    if (Number(link.dataset.index) === index) {
      link.setAttribute('aria-current', 'true');
      showInList(link);
    } else {
      link.removeAttribute('aria-current');
    }
  }
}

function showChosen() {
  const index = chosen();
  document.body.dataset.view = index === null ? 'overview' : 'detail';
  const parts = index === null ? overview() : detail(report.results[index]);
  byId('detail').replaceChildren(...parts.flat(Infinity).filter((part) => part));
  markChosen();
}

function showCounts() {
  const buttons = VERDICT_NAMES.filter((name) => report.summary[name]).map((name) => {
    const button = el('button', {type: 'button', class: 'count', 'aria-pressed': 'false', onclick: () => {
      filters.verdict = filters.verdict === name ? null : name;
      for (const other of buttons) other.setAttribute('aria-pressed', other === button && filters.verdict === name);
      showList();
    }}, el('b', {}, report.summary[name].toLocaleString('en')), ' ', badge(name, true));
    return button;
  });
  byId('counts').replaceChildren(...buttons);
  byId('command').append(el('code', {}, report.command.join(' ')));
  byId('version').textContent = report.tool.version;
  const failures = VERDICT_NAMES.filter((name) => VERDICTS[name].failure && report.summary[name]);
  document.title = 'forgecheck: ' + (failures.map((name) => `${report.summary[name]} ${name}`).join(', ') ||
                                     (report.results.length > 0 ? 'all right' : 'nothing was judged'));
}

// Up and down in the list, "/" to search, Escape back to all results.
document.addEventListener('keydown', (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  const links = [...byId('list').querySelectorAll('a')];
  const at = links.indexOf(document.activeElement);
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  if (event.key === '/' && !typing) {
    event.preventDefault();
    byId('search').focus();
  } else if (event.key === 'Escape' && chosen() !== null) {
    location.hash = '';
  } else if (step && (at >= 0 || event.target.id === 'search') && links[at + step]) {
    event.preventDefault();
    links[at + step].focus();
  }
});

// A result starts at its top; on the way back the list keeps its position.
let left = 0;
window.addEventListener('hashchange', () => {
  if (document.body.dataset.view === 'overview') left = scrollY;
  showChosen();
  scrollTo(0, chosen() === null ? left : 0);
  if (chosen() !== null) byId('detail').focus({preventScroll: true});
});
const candidates = [...new Set(report.results.map((result) => result.candidate))].sort();
byId('candidate').append(el('option', {value: ''}, 'All candidates'),
                         ...candidates.map((name) => el('option', {value: name}, name)));
byId('search').addEventListener('input', showList);
byId('candidate').addEventListener('change', showList);
byId('order').addEventListener('change', showList);
showCounts();
showList();
// A page opens on the first failure; a link to a result (page.html#3) on that one.
if (location.hash === '' && document.body.dataset.open !== '') history.replaceState(null, '', `#${document.body.dataset.open}`);
showChosen();
