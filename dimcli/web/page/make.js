// Videos from files: the form, and the list of what is made. The queue itself is the server's.
import { Faces, addGains, element, gainsOf, getJSON, make, say, takesFiles, upload } from './parts.js';

const EVERY_MS = 700;
const KINDS = { listener: 'a listener', speaker: 'a talking face', recording: 'a recording' };
const WANTED = {
  listener: ['A video of somebody talking', 'video/*'],
  speaker: ['A voice: a sound or a video', 'audio/*,video/*'],
};
const shown = new Map();  // what the list has of each video, by id

export function startMaking(status) {
  const form = element('job');
  const faces = new Faces('make', status.faces);
  const gains = element('make-gains');
  addGains(gains);
  let source = null;

  const kind = () => form.elements.kind.value;
  function change() {
    const [text, accept] = WANTED[kind()];
    element('source-name').textContent = source ? source.name : text;
    element('source').accept = accept;
    for (const each of Object.keys(WANTED)) {
      for (const part of form.querySelectorAll(`.for-${each}`)) {
        part.hidden = each !== kind();
        part.querySelector('select').disabled = part.hidden;
      }
    }
  }
  form.addEventListener('change', change);
  takesFiles(element('source-drop'), element('source'), file => {
    source = file;
    change();
  });
  change();

  form.addEventListener('submit', async event => {
    event.preventDefault();
    if (!source) return say('make-said', `Choose a file first. ${WANTED[kind()][0]}.`, true);
    element('add').disabled = true;
    try {
      const told = share => say('make-said', `Sending ${source.name}: ${Math.round(100 * share)} %`);
      const { kind, seed, ...options } = Object.fromEntries(new FormData(form));
      delete options['make-face'];
      if (!options.who) delete options.who;
      const picture = faces.value instanceof File ? await upload(faces.value, () => {}) : faces.value;
      const name = await upload(source, told);
      await getJSON('api/videos', {
        method: 'POST',
        body: JSON.stringify({
          kind, title: source.name, source: name, picture,
          options: { ...options, seed: Number(seed), ...gainsOf(gains) },
        }),
      });
      say('make-said', '');
      await refresh();
    } catch (error) {
      say('make-said', error.message, true);
    }
    element('add').disabled = false;
  });

  element('add').disabled = false;
  refresh();
  setInterval(refresh, EVERY_MS);
}

let asking = false;

// Both lists as the server has them; what is played goes on playing.
export async function refresh() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const videos = await getJSON('api/videos');
    const there = new Set(videos.map(video => video.id));
    for (const [id, { item }] of shown) {
      if (!there.has(id)) {
        item.remove();
        shown.delete(id);
      }
    }
    let ahead = 0;
    for (const video of videos) {
      if (video.state === 'waiting') video.ahead = ahead;
      if (video.state !== 'done' && video.state !== 'failed') ahead += 1;
      put(video);
    }
  } catch {
    // the next time will tell
  }
  asking = false;
}

function put(video) {
  const facts = JSON.stringify(video);
  let entry = shown.get(video.id);
  if (entry?.facts === facts) return;
  if (!entry) {
    entry = { item: make('li') };
    element(video.kind === 'recording' ? 'recordings' : 'videos').prepend(entry.item);
    shown.set(video.id, entry);
  }
  entry.facts = facts;
  entry.item.dataset.state = video.state;
  entry.item.replaceChildren(make('h3', { textContent: video.title }), ...parts(video));
}

function parts(video) {
  const remove = make('button', {
    className: 'small', type: 'button',
    textContent: video.state === 'waiting' || video.state === 'running' ? 'Cancel' : 'Remove',
  });
  remove.addEventListener('click', async () => {
    remove.disabled = true;
    await fetch(`api/videos/${video.id}`, { method: 'DELETE' });
    refresh();
  });
  const acts = make('div', { className: 'acts' }, remove);
  const line = text => make('p', { textContent: text });
  if (video.state === 'done') {
    const path = `api/videos/${video.id}/video.mp4`;
    const player = make('video', { src: path, controls: true, preload: 'metadata', playsInline: true });
    acts.prepend(make('a', {
      className: 'small', href: `${path}?download=1`, download: '', textContent: 'Download',
    }));
    return [
      make('div', { className: 'frame' }, player,
        make('span', { className: 'mark', textContent: 'synthetic' })),
      line(`${KINDS[video.kind]}, ${video.duration_s.toFixed(1)} s`),
      ...video.remarks.map(line), acts,
    ];
  }
  if (video.state === 'failed') {
    return [make('p', { className: 'why', textContent: video.remarks.join(' ') }), acts];
  }
  if (video.state === 'waiting') {
    const before = video.ahead ? `, ${video.ahead} before it` : '';
    return [line(`${KINDS[video.kind]}, waiting${before}`), acts];
  }
  if (video.kind === 'recording') return [line('recording')];
  const bar = make('progress', { max: video.total || 1 });
  if (video.total) bar.value = video.done;
  const count = video.total ? ` ${video.done} of ${video.total}` : '';
  return [line(`${KINDS[video.kind]}: ${video.stage}${count}`), bar, acts];
}
