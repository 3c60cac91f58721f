const study = JSON.parse(document.getElementById('study').textContent);
const pairs = study.mode === 'pairs';
const address = new URLSearchParams(location.search);
const byId = (id) => document.getElementById(id);
const LETTERS = 'ABCDEFGHIJKL';
const SEEN = 0.9; // share of a video that must have been played

const named = address.get('participant') || address.get('PROLIFIC_PID') || '';
const slot = `dim-study ${study.id} ${named}`;
let state = {};
let since = 0;

function store() {
  try { localStorage.setItem(slot, JSON.stringify(state)); return true; } catch { return false; }
}

function restore() {
  try { return JSON.parse(localStorage.getItem(slot)) || {}; } catch { return {}; }
}

function make(tag, facts = {}, ...inside) {
  const element = Object.assign(document.createElement(tag), facts);
  element.append(...inside);
  return element;
}

function show(id) {
  for (const section of document.querySelectorAll('section')) section.hidden = section.id !== id;
  document.querySelector('.progress').hidden = id !== 'question';
  window.scrollTo(0, 0);
}

function drawn(count) {
  const numbers = new Uint32Array(1);
  crypto.getRandomValues(numbers);
  return numbers[0] % count;
}

// one order for the same name, whoever opens the page
function sessionOf(name) {
  const asked = Number(address.get('session'));
  if (Number.isInteger(asked) && asked > 0) return ((asked - 1) % study.sessions.length) + 1;
  let hash = 2166136261;
  for (const letter of name) hash = Math.imul(hash ^ letter.codePointAt(0), 16777619) >>> 0;
  return (hash % study.sessions.length) + 1;
}

const questions = () => study.sessions[state.session - 1];
const letterOf = (index) => LETTERS[index];

// --- consent and instructions

byId('consent').querySelector('form').addEventListener('submit', (event) => {
  event.preventDefault();
  const typed = event.target.participant.value.trim();
  const name = typed || `p${drawn(1e9).toString(36)}${drawn(1e9).toString(36)}`;
  state = {
    participant: name, session: sessionOf(name), step: -1, answers: {}, seen: {}, spent: {},
    started: new Date().toISOString(),
  };
  store();
  go();
});

byId('instructions').querySelector('.go').addEventListener('click', () => {
  state.step = 0;
  store();
  go();
});

// --- questions

function go() {
  if (!state.participant) { show('consent'); return; }
  if (state.step < 0) { show('instructions'); return; }
  if (state.step >= questions().length || state.stopped) { finish(); return; }
  ask(...questions()[state.step]);
}

function scale(name, legend, options, ends, chosen, change) {
  const inputs = options.map(([value, text]) => {
    const input = make('input', { type: 'radio', name, value, checked: value === chosen });
    input.addEventListener('change', () => { change(value); clear(field); });
    return make('label', {}, input, make('span', { textContent: text }));
  });
  const field = make('fieldset', {}, make('legend', { textContent: legend }),
    make('div', { className: 'scale' }, ...inputs));
  if (ends) {
    field.append(make('div', { className: 'ends' },
      ...ends.map((text) => make('span', { textContent: text }))));
  }
  return field;
}

const scores = [...Array(study.highest + 1).keys()].map((score) => [score, String(score)]);
const sides = [[0, 'A'], [1, 'B']];

function ask(question, shown) {
  show('question');
  since = Date.now();
  const check = !shown.length;
  const films = document.querySelector('.films');
  const form = document.querySelector('.choices');
  const intro = document.querySelector('.ask');
  const total = questions().length;
  films.replaceChildren();
  form.replaceChildren();
  intro.replaceChildren();
  document.querySelector('.open').textContent = '';
  document.querySelector('.progress span').textContent = `${state.step + 1} of ${total}`;
  document.querySelector('progress').value = state.step / total;
  byId('question').querySelector('h2').textContent = `Question ${state.step + 1}`;
  byId('question').querySelector('.go').textContent = state.step + 1 < total ? 'Next' : 'Finish';
  const answer = (state.answers[question] ??= check || pairs ? [] : {});
  if (check) {
    const asked = study.checks[question];
    intro.append(make('p', {}, 'No video this time. To show that you read the questions, please ',
      make('b', { textContent: pairs ? 'choose ' : 'give ' }), ...asked.flatMap((one, index) => [
        index ? ' and ' : '', make('b', { textContent: pairs ? sides[one][1] : String(one) }),
        ` for ${study.criteria[index].name}`]), '.'));
  } else if (!pairs) {
    for (const one of study.criteria) {
      const name = one.name[0].toUpperCase() + one.name.slice(1);
      intro.append(make('p', {}, make('b', { textContent: `${name}: ` }), one.rated));
    }
  }
  if (check || pairs) {
    study.criteria.forEach((one, index) => form.append(scale(
      `${question}-${index}`, check ? one.name : one.compared, pairs ? sides : scores,
      pairs ? null : [one.low, one.high], answer[index],
      (value) => { answer[index] = value; store(); })));
  }
  shown.forEach((name, place) => films.append(film(question, name, place, answer)));
}

function film(question, name, place, answer) {
  const video = make('video', {
    src: `videos/${name}.mp4`, controls: true, playsInline: true, preload: 'auto',
    controlsList: 'nodownload noplaybackrate', disablePictureInPicture: true,
  });
  video.setAttribute('aria-label', `Video ${letterOf(place)}`);
  const mark = make('span', { className: 'seen' });
  const told = () => {
    mark.textContent = state.seen[name] ? 'watched' : 'not watched yet';
    mark.classList.toggle('done', Boolean(state.seen[name]));
  };
  const watched = () => {
    let played = 0;
    for (let i = 0; i < video.played.length; i += 1) played += video.played.end(i) - video.played.start(i);
    if (!state.seen[name] && video.duration && played >= SEEN * video.duration) {
      state.seen[name] = true;
      store();
      told();
    }
  };
  video.addEventListener('play', () => {
    for (const other of document.querySelectorAll('.films video')) if (other !== video) other.pause();
  });
  video.addEventListener('timeupdate', watched);
  video.addEventListener('ended', watched);
  video.addEventListener('error', () => {
    mark.textContent = 'cannot be played here';
    state.seen[name] = true;
    state.unplayable = [...new Set([...(state.unplayable || []), name])];
    store();
  });
  told();
  const figure = make('figure', { className: 'film' }, make('figcaption', {},
    make('b', { textContent: letterOf(place) }), mark), video);
  figure.dataset.video = name;
  if (!pairs) {
    const given = (answer[name] ??= []);
    study.criteria.forEach((one, index) => figure.append(scale(
      `${question}-${name}-${index}`, one.name, scores, [one.low, one.high], given[index],
      (value) => { given[index] = value; store(); })));
  }
  return figure;
}

const fields = () => [...byId('question').querySelectorAll('fieldset')];
const isOpen = (field) => !field.querySelector(':checked');

function clear(field) {
  field.classList.remove('missing');
  if (!document.querySelector('.missing')) document.querySelector('.open').textContent = '';
}

function next() {
  const [question, shown] = questions()[state.step];
  const unseen = shown.filter((name) => !state.seen[name]).map((name) => letterOf(shown.indexOf(name)));
  const open = fields().filter(isOpen);
  for (const field of fields()) field.classList.toggle('missing', isOpen(field));
  if (unseen.length || open.length) {
    const parts = [];
    if (unseen.length) parts.push(`watch ${unseen.join(', ')} to the end`);
    if (open.length) parts.push(`answer what is marked (${open.length})`);
    document.querySelector('.open').textContent = `Please ${parts.join(' and ')}.`;
    if (!unseen.length) open[0].scrollIntoView({ block: 'center' });
    return;
  }
  spend(question);
  state.step += 1;
  store();
  go();
}

function spend(question) {
  state.spent[question] = (state.spent[question] || 0) + (Date.now() - since) / 1000;
  since = Date.now();
}

byId('question').querySelector('.go').addEventListener('click', next);
byId('question').querySelector('.choices').addEventListener('submit', (e) => e.preventDefault());
byId('question').querySelector('.stop').addEventListener('click', () => {
  if (!confirm('Stop here? You cannot go on afterwards.')) return;
  spend(questions()[state.step][0]);
  state.stopped = true;
  store();
  go();
});
window.addEventListener('pagehide', () => {
  if (state.step >= 0 && !state.finished && state.participant) {
    const now = questions()[state.step];
    if (now) { spend(now[0]); store(); }
  }
});

document.addEventListener('keydown', (event) => {
  if (byId('question').hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  const at = document.activeElement.closest('fieldset');
  const target = at || fields().find(isOpen);
  const value = pairs ? { a: '0', b: '1' }[key] : (/^[0-9]$/.test(key) ? key : undefined);
  const input = value !== undefined && target && target.querySelector(`input[value="${value}"]`);
  if (input) {
    event.preventDefault();
    input.click();
    const following = fields().find(isOpen);
    const focus = following ? following.querySelector('input') : byId('question').querySelector('.go');
    focus.focus({ preventScroll: true });
    focus.closest('fieldset, .foot').scrollIntoView({ block: 'nearest' });
  } else if (key === 'p') {
    const unseen = [...document.querySelectorAll('.film')].find((one) => !state.seen[one.dataset.video]);
    const film = unseen || document.querySelector('.film');
    if (film) { film.scrollIntoView({ block: 'nearest' }); film.querySelector('video').play(); }
  } else if (key === 'enter' && !document.activeElement.closest('#question :is(button, a)')) {
    event.preventDefault();
    next();
  }
});

// --- the end

const whole = (one, count) => Array.isArray(one) && one.filter((v) => v !== null).length === count;

function answered([question, shown]) {
  const answer = state.answers[question];
  if (!answer) return false;
  const count = study.criteria.length;
  if (!shown.length || pairs) return whole(answer, count);
  return shown.every((name) => whole(answer[name], count));
}

function results() {
  return {
    format: study.results.format, version: study.results.version, study: study.id,
    participant: state.participant, session: state.session, started: state.started,
    finished: state.finished, unplayable: state.unplayable || [],
    answers: questions().filter(answered).map(([question, shown]) => ({
      question, shown, answer: state.answers[question],
      seconds: Math.round(10 * (state.spent[question] || 0)) / 10,
    })),
  };
}

function finish() {
  state.finished ??= new Date().toISOString();
  store();
  show('end');
  const text = JSON.stringify(results(), null, 1);
  const link = byId('download');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  link.download = `results-${state.participant.replace(/[^\w-]/g, '_')}.json`;
  const said = document.querySelector('.said');
  const begun = state.stopped ? 'You have stopped.' : 'You have answered everything.';
  if (!study.post) {
    said.textContent = `${begun} Please save the results file and send it to whoever asked you.`;
    return;
  }
  if (state.posted) { said.textContent = `${begun} Your answers have been received.`; return; }
  said.textContent = `${begun} Sending your answers ...`;
  // text/plain is sent without asking the server first, which pages opened as files could not
  fetch(study.post, { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: text })
    .then((answer) => {
      if (!answer.ok) throw new Error(String(answer.status));
      state.posted = true;
      store();
      said.textContent = `${begun} Your answers have been received.`;
    })
    .catch(() => {
      said.textContent = `${begun} It is not certain that your answers arrived: please save the `
        + 'results file, too, and send it to whoever asked you; or load this page again.';
    });
}

byId('again').addEventListener('click', () => {
  if (!confirm('Begin anew? Save the results file first: the answers on this device are removed.')) return;
  localStorage.removeItem(slot);
  location.reload();
});

state = restore();
byId('consent').querySelector('form').participant.value = named;
byId('nostore').hidden = store();
go();
