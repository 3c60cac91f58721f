// What both pages need: elements, requests, pictures to choose from, files that are dropped.

export const element = id => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export async function getJSON(path, options) {
  const answer = await fetch(path, options);
  const facts = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(facts.error || `the server answered ${answer.status}`);
  return facts;
}

export function say(id, text, bad = false) {
  const place = element(id);
  place.textContent = text;
  place.classList.toggle('bad', bad);
}

// Sends a file as it is; `told` hears the share that is there (fetch cannot say).
export function upload(file, told) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', `api/uploads?name=${encodeURIComponent(file.name)}`);
    request.responseType = 'json';
    request.upload.onprogress = event => told(event.loaded / event.total);
    request.onload = () => request.status === 200
      ? resolve(request.response.name)
      : reject(new Error(request.response?.error || `the server answered ${request.status}`));
    request.onerror = () => reject(new Error('the server cannot be reached'));
    request.send(file);
  });
}

// A place where a file can be dropped, and its file input, if it has one. `taken` gets the file.
export function takesFiles(area, input, taken) {
  input?.addEventListener('change', () => {
    if (input.files.length) taken(input.files[0]);
    input.value = '';  // the same file may be chosen again
  });
  area.addEventListener('dragover', event => {
    event.preventDefault();
    area.classList.add('over');
  });
  area.addEventListener('dragleave', () => area.classList.remove('over'));
  area.addEventListener('drop', event => {
    event.preventDefault();
    area.classList.remove('over');
    if (event.dataTransfer.files.length) taken(event.dataTransfer.files[0]);
  });
}

const GAINS = { head: 2, smile: 2, brows: 2, blinks: 1.5, gaze: 2 };  // and their greatest

// A slider in `box` for how much a face does of each; `changed` is told.
export function addGains(box, changed = () => {}) {
  for (const [name, most] of Object.entries(GAINS)) {
    const input = make('input', { type: 'range', min: 0, max: most, step: 0.05, value: 1, name });
    const shown = make('output', { textContent: '1.00' });
    input.addEventListener('input', () => {
      shown.textContent = Number(input.value).toFixed(2);
      changed();
    });
    box.append(make('label', {}, name[0].toUpperCase() + name.slice(1), input, shown));
  }
}

// What the sliders in `box` say, by name.
export const gainsOf = box => Object.fromEntries(
  Object.keys(GAINS).map(name => [name, Number(box.querySelector(`[name=${name}]`).value)]));

// The faces that come with the server, and one's own. `chosen` is told of a name, or a file.
export class Faces {
  constructor(prefix, names, chosen = () => {}) {
    this.box = element(`${prefix}-faces`);
    this.group = `${prefix}-face`;
    this.chosen = chosen;
    names.forEach((name, index) => this.add(name, `faces/${name}.jpg`, name, index === 0));
    this.value = names[0];
    takesFiles(element(`${prefix}-drop`), element(`${prefix}-picture`), file => this.own(file));
  }

  own(file) {
    this.box.querySelector('.own')?.remove();
    this.add(file, URL.createObjectURL(file), file.name, true).classList.add('own');
    this.choose(file);
  }

  add(value, source, title, checked) {
    const input = make('input', { type: 'radio', name: this.group, checked });
    input.setAttribute('aria-label', title);
    input.addEventListener('change', () => this.choose(value));
    const label = make('label', { title }, input, make('img', { src: source, alt: '' }));
    this.box.append(label);
    return label;
  }

  choose(value) {
    this.value = value;
    this.chosen(value);
  }

  // The address of the picture that is chosen.
  get picture() {
    return this.box.querySelector('input:checked + img').src;
  }
}
